// Package view holds the pages of the dashboard. Each is a function of what it
// shows; nothing here calls anybody.
package view

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/money"
)

// Frame is what every page shows around its own content.
type Frame struct {
	// Title of the page.
	Title string
	// Here is the path of the section, such as "/admin/orders".
	Here string
	// Style, Script and Icon are addresses of static files.
	Style, Script, Icon string
	// FormToken goes into every form.
	FormToken string
	// Email of the administrator, "" when nobody is logged in.
	Email string
	// Development shows links to captured mail.
	Development bool
	// Done is a sentence about what was just done, or "".
	Done string
	// Problem is what went wrong, or nil.
	Problem *browser.Problem
}

type section struct{ path, name string }

var sections = []section{
	{"/admin", "Overview"}, {"/admin/orders", "Orders"}, {"/admin/users", "Users"}, {"/admin/mails", "Mails"},
}

// Overview is how the shop is doing.
type Overview struct {
	// Today holds a row for each currency; it is empty before the first event of the day.
	Today []*analyticsv1.DailyMetrics
	// Days are the last days, newest first.
	Days []Day
	// Dead are mails that were given up.
	Dead []*notificationv1.Mail
	// More is true when there are more dead mails than shown.
	More bool
	// Orders are the latest.
	Orders []*orderv1.Order
	// Missing names the components that could not be asked.
	Missing []string
}

func (o Overview) total(of func(*analyticsv1.DailyMetrics) int64) string {
	var sum int64
	for _, row := range o.Today {
		sum += of(row)
	}
	return strconv.FormatInt(sum, 10)
}

// revenue lists today's revenue by currency.
func (o Overview) revenue() string {
	var revenue []string
	for _, row := range o.Today {
		if row.CurrencyCode != "" {
			revenue = append(revenue, minor(row.CurrencyCode, row.RevenueMinor-row.RefundedMinor))
		}
	}
	return sums(revenue)
}

func (o Overview) dead() string {
	text := strconv.Itoa(len(o.Dead))
	if o.More {
		text += "+"
	}
	return text
}

func minor(currency string, amount int64) string {
	if currency == "" {
		return "–"
	}
	return browser.Price(&typev1.Money{CurrencyCode: currency, AmountMinor: amount})
}

// Orders is a page of orders.
type Orders struct {
	Orders []*orderv1.Order
	// Status and Query are the present filter.
	Status orderv1.Order_Status
	Query  string
	// UserID restricts to one user, or "".
	UserID string
	// Next and First are addresses of pages, or "".
	Next, First string
}

var statuses = []orderv1.Order_Status{
	orderv1.Order_PENDING, orderv1.Order_CONFIRMED, orderv1.Order_FULFILLED, orderv1.Order_COMPLETED, orderv1.Order_CANCELLED, orderv1.Order_EXPIRED,
}

// Order is an order with everything that hangs on it.
type Order struct {
	Order    *orderv1.Order
	Events   []*orderv1.OrderEvent
	Payments []*billingv1.Payment
	Invoices []*billingv1.Invoice
	// Keys make a refund of each payment once.
	Keys []string
	// Blind is true while billing cannot be asked.
	Blind bool
	// Reason that was typed for a cancellation that did not work.
	Reason string
}

func (o Order) cancellable() bool {
	return o.Order.Status == orderv1.Order_PENDING || o.Order.Status == orderv1.Order_CONFIRMED
}

// actions holds while something can be done with the order.
func (o Order) actions() bool { return o.cancellable() || o.Order.Status == orderv1.Order_FULFILLED }

// refundable is what is left of a payment.
func refundable(p *billingv1.Payment) *typev1.Money {
	if p.Status != billingv1.Payment_SUCCEEDED && p.Status != billingv1.Payment_PARTIALLY_REFUNDED {
		return nil
	}
	left := p.GetAmount().GetAmountMinor() - p.GetRefunded().GetAmountMinor()
	if left <= 0 {
		return nil
	}
	return &typev1.Money{CurrencyCode: p.GetAmount().GetCurrencyCode(), AmountMinor: left}
}

func decimal(m *typev1.Money) string {
	return money.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: m.GetAmountMinor()}.Decimal()
}

// Users is a page of users.
type Users struct {
	Users []*userv1.User
	Query string
	// Next and First are addresses of pages, or "".
	Next, First string
}

// User is one user with the latest orders.
type User struct {
	User   *userv1.User
	Orders []*orderv1.Order
	// Self is true for the administrator's own account.
	Self bool
}

func (u User) has(role string) bool { return slices.Contains(u.User.Roles, role) }

// Mails is a page of mails.
type Mails struct {
	Mails []*notificationv1.Mail
	// Status and To are the present filter.
	Status notificationv1.Mail_Status
	To     string
	// Next and First are addresses of pages, or "".
	Next, First string
}

var mailStatuses = []notificationv1.Mail_Status{
	notificationv1.Mail_QUEUED, notificationv1.Mail_SENT, notificationv1.Mail_DEAD,
}

// Name turns an enum value such as "PARTIALLY_REFUNDED" into "Partially refunded".
func Name(value fmt.Stringer) string {
	text := strings.ReplaceAll(strings.ToLower(value.String()), "_", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

func class(value fmt.Stringer) string { return "status " + strings.ToLower(value.String()) }

// Link returns a path with the parameters that are not empty.
func Link(path string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func number(n int32) string { return strconv.Itoa(int(n)) }

func count(n int64) string { return strconv.FormatInt(n, 10) }

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + " %" }

func who(o *orderv1.Order) string {
	if o.UserId == "" {
		return "guest"
	}
	return "user"
}

func eventText(e *orderv1.OrderEvent) string {
	if e.Message != "" {
		return browser.Sentence(e.Message)
	}
	return browser.Sentence(strings.ReplaceAll(strings.ToLower(e.Type), "_", " "))
}

func documentName(i *billingv1.Invoice) string {
	if i.Kind == billingv1.Invoice_CREDIT_NOTE {
		return "Credit note " + i.Number
	}
	return "Invoice " + i.Number
}
