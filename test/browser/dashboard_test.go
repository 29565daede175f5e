package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/commercestack/commercestack/test/shop"
)

func (b *tab) enterDashboard() {
	b.t.Helper()
	b.open("/admin")
	b.fill(map[string]string{"#email": adminEmail, "#password": adminPassword})
	b.send("form.sheet .primary")
	b.wait("h1", "Overview")
}

func TestAdministratorCancelsAnOrder(t *testing.T) {
	t.Parallel()
	email := shop.NewEmail()
	customer := newTab(t, 1280)
	customer.order(newProduct(t, "Birch chair", 10), email)
	customer.pay("pm_card_visa")
	customer.wait("#status", "Confirmed")

	b := newTab(t, 1280)
	b.enterDashboard()
	b.shoot("dashboard-overview")
	b.open("/admin/orders")
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), email))
	// Other tests place orders too: the list is filtered when it shows no other.
	b.waitFor(`document.querySelectorAll("#found tbody tr").length > 0 &&
		[...document.querySelectorAll("#found tbody tr")].every(row => row.innerText.includes("` + email + `"))`)
	if rows := b.count("#found tbody tr"); rows != 1 {
		t.Errorf("%d orders are found by the address", rows)
	}
	b.shoot("dashboard-orders")
	b.send("#found tbody a")
	b.wait(".payment", "Succeeded")
	b.shoot("dashboard-order")
	b.do(chromedp.Click(chromedp.CSS("#cancel summary")))
	b.fill(map[string]string{"#reason": "the customer called"})
	b.do(chromedp.Click(chromedp.CSS("#cancel input[type=checkbox]")))
	b.shoot("dashboard-order-cancel")
	b.send("#cancel button")
	b.wait("#status", "Cancelled")
	b.wait("aside", "the customer called")
	customer.wait("#status", "Cancelled")
	b.do(chromedp.Reload())
	b.fits()
}

func TestAdministratorRefundsAndFulfills(t *testing.T) {
	t.Parallel()
	email := shop.NewEmail()
	customer := newTab(t, 1280)
	customer.order(newProduct(t, "Cherry desk", 10), email)
	customer.pay("pm_card_visa")
	customer.wait("#status", "Confirmed")

	b := newTab(t, 1280)
	b.enterDashboard()
	b.open("/admin/orders?q=" + email)
	b.send("#found tbody a")
	b.do(chromedp.Click(chromedp.CSS(".payment summary")))
	b.fill(map[string]string{".payment input[name=amount]": "5.00", ".payment input[name=reason]": "a scratch"})
	b.do(chromedp.Click(chromedp.CSS(".payment input[type=checkbox]")))
	b.send(".payment button")
	b.wait(".payment", "€5.00 given back")
	b.shoot("dashboard-order-refunded")
	b.fill(map[string]string{"#tracking": "TRACK-1"})
	b.send("#fulfill")
	b.wait("#status", "Fulfilled")
	customer.wait("#progress", "TRACK-1")
	b.send("#complete")
	b.wait("#status", "Completed")
}

func TestAdministratorDisablesAUser(t *testing.T) {
	t.Parallel()
	person, err := shop.New(address).Register(t.Context(), shop.NewEmail())
	if err != nil {
		t.Fatal(err)
	}
	b := newTab(t, 390)
	b.enterDashboard()
	b.fits()
	b.shoot("phone-dashboard-overview")
	b.open("/admin/users?q=" + person.Email)
	b.fits()
	b.shoot("phone-dashboard-users")
	b.send("#found tbody a")
	b.wait("h1", "Active")
	b.fits()
	b.shoot("phone-dashboard-user")
	b.send(".danger")
	b.wait("h1", "Disabled")
	answer, err := person.Do(t.Context(), http.MethodPost, "/api/v1/auth/login", map[string]any{"email": person.Email, "password": shop.Password})
	if err != nil || answer.Status == http.StatusOK {
		t.Errorf("a disabled user logged in: %v %s", err, answer.Raw)
	}
	b.send("button[value=false]")
	b.wait("h1", "Active")
	b.open("/admin/mails?to=" + person.Email)
	b.wait("tbody", person.Email)
	b.fits()
	b.shoot("phone-dashboard-mails")
	b.send(".who button")
	b.open("/admin/orders")
	if b.path() != "/admin/login" {
		t.Errorf("after the logout %s is shown", b.path())
	}
}

func TestCustomersAreKeptOutOfTheDashboard(t *testing.T) {
	t.Parallel()
	person, err := shop.New(address).Register(t.Context(), shop.NewEmail())
	if err != nil {
		t.Fatal(err)
	}
	b := newTab(t, 1280)
	b.expected = []string{"403"}
	b.open("/admin")
	b.fill(map[string]string{"#email": person.Email, "#password": shop.Password})
	b.send("form.sheet .primary")
	b.wait(".notice.problem", "may not log in here")
	b.shoot("dashboard-login-refused")
	b.open("/admin/users")
	if b.path() != "/admin/login" {
		t.Errorf("a customer is at %s", b.path())
	}
}

// TestForeignFormIsRefused sends a form that another page made.
func TestForeignFormIsRefused(t *testing.T) {
	t.Parallel()
	b := newTab(t, 1280)
	b.expected = []string{"403"}
	b.enterDashboard()
	get(b, chromedp.Evaluate[string](`document.querySelector("input[name=form_token]").value = "forged"`))
	b.send(".who button")
	b.wait(".notice.problem", "too old")
	b.open("/admin")
	if heading := b.text("h1"); !strings.Contains(heading, "Overview") {
		t.Errorf("the forged form logged the administrator out: %s", heading)
	}
}

func (b *tab) count(selector string) int {
	b.t.Helper()
	return get(b, chromedp.Evaluate[int](`document.querySelectorAll("`+selector+`").length`))
}
