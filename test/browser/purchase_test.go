package browser_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/commercestack/commercestack/test/shop"
)

// newProduct makes a product that only one test sells.
func newProduct(t *testing.T, name string, stock int64) (slug string) {
	t.Helper()
	id, err := admin.NewProduct(t.Context(), name, "EUR", 2490, stock)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := admin.Must(t.Context(), http.MethodGet, "/api/v1/products/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.String("product", "slug")
}

// order fills the cart and places an order as a guest.
func (b *tab) order(slug, email string) {
	b.t.Helper()
	b.open("/shop/products/" + slug)
	b.fill(map[string]string{"#quantity": "2"})
	b.send(".buy .primary")
	b.wait("h1", "Your cart")
	b.send("a.primary")
	if email != "" {
		b.fill(map[string]string{"#email": email})
	}
	b.fill(map[string]string{
		"#recipient": "Pat Example", "#line1": "Main Street 1", "#postal_code": "10115", "#city": "Berlin", "#country": "DE",
	})
	b.send("form.sheet .primary")
	b.wait("h1", "Order")
}

// pay chooses one of the test cards.
func (b *tab) pay(method string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(`input[value="` + method + `"]`)))
	b.send("#pay button")
}

func TestGuestBuys(t *testing.T) {
	t.Parallel()
	slug, email := newProduct(t, "Oak stool", 10), shop.NewEmail()
	b := newTab(t, 1280)
	b.open("/")
	b.shoot("shop-grid")
	b.open("/?q=Oak+stool")
	b.wait(".grid", "Oak stool")
	b.order(slug, email)
	if status := b.text("#status"); status != "Pending" {
		t.Errorf("status is %q before the payment", status)
	}
	b.shoot("shop-order-pending")
	b.pay("pm_card_visa")
	b.wait("#status", "Confirmed")
	b.wait(".history", "Mail sent: order confirmed")
	b.shoot("shop-order-confirmed")
	if cart := b.text(".cart"); strings.ContainsAny(cart, "0123456789") {
		t.Errorf("the cart still shows %q", cart)
	}
	// Another browser does not see the order.
	other := newTab(t, 1280)
	other.expected = []string{"401", "404"}
	other.open(b.path())
	if other.path() != "/shop/login" {
		t.Errorf("a stranger opened the order at %s", other.path())
	}
}

func TestDeclinedCardCanBeReplaced(t *testing.T) {
	t.Parallel()
	b := newTab(t, 390)
	b.order(newProduct(t, "Ash bench", 10), shop.NewEmail())
	b.pay("pm_card_chargeDeclined")
	b.wait("#progress", "did not go through")
	b.fits()
	b.shoot("phone-shop-order-declined")
	b.pay("pm_card_visa")
	b.wait("#status", "Confirmed")
}

func TestBankAsksForConfirmation(t *testing.T) {
	t.Parallel()
	b := newTab(t, 1280)
	b.order(newProduct(t, "Elm shelf", 10), shop.NewEmail())
	b.pay("pm_card_threeDSecure2Required")
	b.wait("#confirm-payment", "bank")
	b.send("#confirm-payment")
	b.send("#complete")
	b.wait("#status", "Confirmed")
}

func TestCustomerCancels(t *testing.T) {
	t.Parallel()
	b := newTab(t, 1280)
	b.order(newProduct(t, "Pine crate", 10), shop.NewEmail())
	b.do(chromedp.Click(chromedp.CSS("#cancel summary")))
	b.send("#cancel button")
	b.wait("#status", "Cancelled")
	b.wait(".notice.done", "cancelled")
}

func TestRegisteredCustomerBuys(t *testing.T) {
	t.Parallel()
	slug, email := newProduct(t, "Maple tray", 10), shop.NewEmail()
	b := newTab(t, 1280)
	b.open("/shop/products/" + slug)
	b.send(".buy .primary")
	b.open("/shop/register")
	b.fill(map[string]string{"#email": email, "#password": shop.Password, "#display_name": "Pat Example"})
	b.send("form.sheet .primary")
	b.wait("h1", "Look into your mail")
	token, err := shop.New(address).MailToken(t.Context(), email, "/verify-email")
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(address + "/verify-email?token=" + token))
	b.send("button")
	b.wait("h1", "confirmed")
	b.expected = []string{"401"}
	b.open("/shop/login?next=/shop/cart")
	b.fill(map[string]string{"#email": email, "#password": "wrong password"})
	b.send("form.sheet .primary")
	b.wait(".notice.problem", "did not work")
	b.fill(map[string]string{"#password": shop.Password})
	b.send("form.sheet .primary")
	b.wait("h1", "Your cart")
	if lines := b.text(".lines"); !strings.Contains(lines, "Maple tray") {
		t.Errorf("the guest's cart was not taken over: %s", lines)
	}
	b.shoot("shop-cart")
	b.order(slug, "")
	b.pay("pm_card_visa")
	b.wait("#status", "Confirmed")
	b.wait("#progress", "Invoice")
	b.open("/shop/account")
	b.wait("main", "INV-")
	b.shoot("shop-account")
	b.send(".headline button")
	b.open("/shop/account")
	if b.path() != "/shop/login" {
		t.Errorf("after the logout %s is shown", b.path())
	}
}

func TestSoldOutWhileShopping(t *testing.T) {
	t.Parallel()
	slug := newProduct(t, "Last lamp", 2)
	b := newTab(t, 1280)
	b.open("/shop/products/" + slug)
	b.send(".buy .primary")
	other := newTab(t, 1280)
	other.order(slug, shop.NewEmail())
	b.open("/shop/cart")
	b.wait(".lines", "Sold out")
	b.send("a.primary")
	b.fill(map[string]string{"#email": shop.NewEmail(), "#recipient": "P", "#line1": "S 1", "#city": "Berlin"})
	b.expected = []string{"409"}
	b.send("form.sheet .primary")
	b.wait(".notice.problem", "Last lamp: only 0 of 1 pieces are in stock")
	if value := b.value("#line1"); value != "S 1" {
		t.Errorf("what was typed is lost: %q", value)
	}
	b.shoot("shop-checkout-sold-out")
}

func (b *tab) value(selector string) string {
	b.t.Helper()
	return get(b, chromedp.Value(chromedp.CSS(selector)))
}

// TestPagesFitAPhone opens every page at the width of a small phone.
func TestPagesFitAPhone(t *testing.T) {
	t.Parallel()
	slug := newProduct(t, "Quitealongname Donaudampfschifffahrtsgesellschaftskapitaensmuetze", 10)
	b := newTab(t, 360)
	b.expected = []string{"404"}
	for path, name := range map[string]string{
		"/": "phone-shop-grid", "/shop/products/" + slug: "phone-shop-product", "/shop/login": "phone-shop-login",
		"/shop/register": "phone-shop-register", "/shop/nothing-here": "phone-shop-missing",
	} {
		b.open(path)
		b.fits()
		b.shoot(name)
	}
	b.open("/shop/products/" + slug)
	b.send(".buy .primary")
	b.fits()
	b.shoot("phone-shop-cart")
	b.open("/shop/checkout")
	b.fits()
	b.shoot("phone-shop-checkout")
	b.order(slug, shop.NewEmail())
	b.fits()
	b.shoot("phone-shop-order")
	time.Sleep(6 * time.Second) // one poll must change nothing
	if status := b.text("#status"); status != "Pending" {
		t.Errorf("status is %q", status)
	}
}
