// Package view holds the pages of the storefront. Each is a function of what
// it shows; nothing here calls anybody.
package view

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/browser"
)

// Frame is what every page shows around its own content.
type Frame struct {
	// Title of the page.
	Title string
	// Style, Script and Icon are addresses of static files.
	Style, Script, Icon string
	// FormToken goes into every form.
	FormToken string
	// Email of the person who is logged in, "" for a guest.
	Email string
	// Pieces in the cart.
	Pieces int32
	// Query is what was searched for.
	Query string
	// Development shows links to captured mail.
	Development bool
	// Done is a sentence about what was just done, or "".
	Done string
	// Problem is what went wrong, or nil.
	Problem *browser.Problem
}

// wrong holds for the form field that a problem is about.
func (f Frame) wrong(field string) bool {
	return f.Problem != nil && strings.EqualFold(f.Problem.Field[strings.LastIndex(f.Problem.Field, ".")+1:], field)
}

// Grid is a page of the catalog.
type Grid struct {
	Products   []*productv1.Product
	Categories []*productv1.Category
	// Query and Category are the present filter; Category is an id.
	Query, Category string
	// Order is the sort order, such as "price desc".
	Order string
	// Next is the address of the next page, or "".
	Next string
	// First is the address of the first page when this is a later one, or "".
	First string
}

// sorts are the choices of order.
var sorts = []struct{ value, label string }{
	{"", "Best match"}, {"price", "Price, low to high"}, {"price desc", "Price, high to low"}, {"name", "Name"},
}

// link returns the address of the grid with another category.
func (g Grid) link(category string) string {
	return GridLink(g.Query, category, g.Order, "")
}

// GridLink returns the address of a page of the catalog.
func GridLink(query, category, order, pageToken string) string {
	values := url.Values{}
	for name, value := range map[string]string{"q": query, "category": category, "sort": order, "page_token": pageToken} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if len(values) == 0 {
		return "/"
	}
	return "/?" + values.Encode()
}

// heading names what the grid shows.
func (g Grid) heading() string {
	name := "All products"
	if g.Category != "" {
		if found := categoryName(g.Categories, g.Category); found != "" {
			name = found
		}
	}
	if g.Query != "" {
		return fmt.Sprintf("“%s” in %s", g.Query, strings.ToLower(name[:1])+name[1:])
	}
	return name
}

func categoryName(categories []*productv1.Category, id string) string {
	for _, c := range categories {
		if c.Id == id {
			return c.Name
		}
		if name := categoryName(c.Children, id); name != "" {
			return name
		}
	}
	return ""
}

// holds reports whether the category or one below it has the id.
func holds(category *productv1.Category, id string) bool {
	return id != "" && (category.Id == id || categoryName(category.Children, id) != "")
}

func productPath(p *productv1.Product) string { return "/shop/products/" + url.PathEscape(p.Slug) }

// few is the stock below which people are told how many are left.
const few = 5

func stockText(available int32) string {
	switch {
	case available <= 0:
		return "Sold out"
	case available <= few:
		return fmt.Sprintf("Only %d left", available)
	default:
		return "In stock"
	}
}

func pieces(n int32) string {
	if n == 1 {
		return "1 piece"
	}
	return fmt.Sprintf("%d pieces", n)
}

func number[N ~int | ~int32](n N) string { return strconv.Itoa(int(n)) }

// Checkout is what the person has typed so far.
type Checkout struct {
	Cart *orderv1.Cart
	// Key makes the order once however often the form is sent.
	Key string
	// Email of a guest.
	Email                                                      string
	Recipient, Line1, Line2, City, Region, PostalCode, Country string
	Coupon                                                     string
	// Guest is true when nobody is logged in.
	Guest bool
}

// Country is a choice of the address form.
type Country struct{ Code, Name string }

// Countries that the address form offers.
var Countries = []Country{
	{"AT", "Austria"},
	{"BE", "Belgium"},
	{"BG", "Bulgaria"},
	{"CA", "Canada"},
	{"HR", "Croatia"},
	{"CY", "Cyprus"},
	{"CZ", "Czechia"},
	{"DK", "Denmark"},
	{"EE", "Estonia"},
	{"FI", "Finland"},
	{"FR", "France"},
	{"DE", "Germany"},
	{"GR", "Greece"},
	{"HU", "Hungary"},
	{"IE", "Ireland"},
	{"IT", "Italy"},
	{"JP", "Japan"},
	{"LV", "Latvia"},
	{"LT", "Lithuania"},
	{"LU", "Luxembourg"},
	{"MT", "Malta"},
	{"NL", "Netherlands"},
	{"NO", "Norway"},
	{"PL", "Poland"},
	{"PT", "Portugal"},
	{"RO", "Romania"},
	{"SK", "Slovakia"},
	{"SI", "Slovenia"},
	{"ES", "Spain"},
	{"SE", "Sweden"},
	{"CH", "Switzerland"},
	{"GB", "United Kingdom"},
	{"US", "United States"},
}

// Card is a test payment method of development.
type Card struct{ Method, Label, Hint string }

// TestCards are what development pays with: no real card is ever typed here.
var TestCards = []Card{
	{"pm_card_visa", "Visa ending in 4242", "The payment succeeds."},
	{"pm_card_threeDSecure2Required", "Card with 3-D Secure", "The bank asks for a confirmation first."},
	{"pm_card_chargeDeclined", "Card that is declined", "The bank says no; the order stays open for another try."},
}

// Order is an order with what happened to it.
type Order struct {
	Order    *orderv1.Order
	Events   []*orderv1.OrderEvent
	Payments []*billingv1.Payment
	Invoices []*billingv1.Invoice
	// Key makes a payment once.
	Key string
	// Blind is true while billing cannot be asked, so nothing is said about payments.
	Blind bool
}

// State changes when the page's moving part does.
func (o Order) State() string {
	hash := fnv.New64a()
	_, _ = fmt.Fprint(hash, o.Order.Status, o.Order.TrackingNumber, o.Order.GetRefunded().GetAmountMinor(), len(o.Events), len(o.Invoices), o.Blind)
	for _, p := range o.Payments {
		_, _ = fmt.Fprint(hash, p.Id, p.Status, p.RedirectUrl)
	}
	return strconv.FormatUint(hash.Sum64(), 36)
}

// trigger polls fast while a payment is under way and slowly else.
func (o Order) trigger() string {
	if p := o.last(); o.Order.Status == orderv1.Order_PENDING && p != nil && !o.payable() {
		return "every 1s"
	}
	return "every 5s"
}

// last is the newest payment, or nil.
func (o Order) last() *billingv1.Payment {
	if len(o.Payments) == 0 {
		return nil
	}
	return o.Payments[0]
}

// open holds while the page may change by itself.
func (o Order) open() bool {
	switch o.Order.Status {
	case orderv1.Order_CANCELLED, orderv1.Order_EXPIRED, orderv1.Order_COMPLETED:
		return false
	default:
		return true
	}
}

// payable holds while the person should choose how to pay.
func (o Order) payable() bool {
	if o.Order.Status != orderv1.Order_PENDING || o.Blind {
		return false
	}
	p := o.last()
	return p == nil || p.Status == billingv1.Payment_FAILED
}

// action is where the person must go to confirm the payment, or "".
func (o Order) action() string {
	p := o.last()
	if p == nil || o.Order.Status != orderv1.Order_PENDING || p.Status != billingv1.Payment_PENDING {
		return ""
	}
	return p.RedirectUrl
}

// cancellable holds while the customer may cancel.
func (o Order) cancellable() bool {
	return o.Order.Status == orderv1.Order_PENDING || o.Order.Status == orderv1.Order_CONFIRMED
}

// summary says in a sentence where the order stands.
func (o Order) summary() string {
	switch o.Order.Status {
	case orderv1.Order_PENDING:
		return o.waiting()
	case orderv1.Order_CONFIRMED:
		return "Thank you. It is paid, and we are packing it."
	case orderv1.Order_FULFILLED:
		return "It is on its way to you."
	case orderv1.Order_COMPLETED:
		return "It has been delivered."
	case orderv1.Order_CANCELLED:
		return "It was cancelled."
	case orderv1.Order_EXPIRED:
		return "It was not paid in time, so the goods are free for others again."
	default:
		return ""
	}
}

func (o Order) waiting() string {
	p := o.last()
	switch {
	case o.Blind:
		return "We cannot see its payment at the moment."
	case p == nil:
		return "We hold the goods for you until it is paid."
	case p.Status == billingv1.Payment_FAILED:
		return "The payment did not go through. Choose another way to pay."
	case o.action() != "":
		return "Your bank wants to hear from you before it pays."
	default:
		return "Your payment is being processed. This page follows it by itself."
	}
}

// StatusName is an order's status for people.
func StatusName(s orderv1.Order_Status) string {
	text := strings.ToLower(s.String())
	return strings.ToUpper(text[:1]) + text[1:]
}

func statusClass(s orderv1.Order_Status) string { return "status " + strings.ToLower(s.String()) }

func hasAmount(minor int64) bool { return minor != 0 }

// Account is what a person's own page shows.
type Account struct {
	Orders   []*orderv1.Order
	Invoices []*billingv1.Invoice
	// Next is the address of the next page of orders, or "".
	Next string
}

func documentName(i *billingv1.Invoice) string {
	if i.Kind == billingv1.Invoice_CREDIT_NOTE {
		return "Credit note " + i.Number
	}
	return "Invoice " + i.Number
}

func eventText(e *orderv1.OrderEvent) string {
	if e.Message != "" {
		return e.Message
	}
	return strings.ReplaceAll(strings.ToLower(e.Type), "_", " ")
}
