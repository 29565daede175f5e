package browser_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/commercestack/commercestack/test/shop"
)

// twice sends the form of a selector twice at once, as a double click on a slow
// line does, and returns where both answers are.
func (b *tab) twice(form string) (first, second string) {
	b.t.Helper()
	answers := get(b, chromedp.Evaluate[[]string](`(() => {
		const form = document.querySelector("`+form+`");
		const send = async () => {
			const answer = await fetch(form.action, {method: "POST", body: new URLSearchParams(new FormData(form))});
			return answer.status + " " + new URL(answer.url).pathname;
		};
		return Promise.all([send(), send()]);
	})()`, chromedp.EvalAwaitPromise))
	return answers[0], answers[1]
}

// TestFormsSentTwiceActOnce clicks everything twice on the way to a paid order.
func TestFormsSentTwiceActOnce(t *testing.T) {
	t.Parallel()
	slug, email := newProduct(t, "Teak table", 10), shop.NewEmail()
	b := newTab(t, 1280)
	b.open("/shop/products/" + slug)
	if first, second := b.twice("form.buy"); first != "200 /shop/cart" || second != first {
		t.Errorf("added to the cart: %q and %q", first, second)
	}
	b.open("/shop/cart")
	if pieces := b.value("input[name=quantity]"); pieces != "1" {
		t.Errorf("the cart holds %s pieces", pieces)
	}
	b.open("/shop/checkout")
	b.fill(map[string]string{
		"#email": email, "#recipient": "Pat Example", "#line1": "Main Street 1", "#postal_code": "10115", "#city": "Berlin", "#country": "DE",
	})
	first, second := b.twice("form.sheet")
	if first != second || !strings.HasPrefix(first, "200 /shop/orders/") {
		t.Fatalf("ordered: %q and %q", first, second)
	}
	placed, err := admin.Must(t.Context(), http.MethodGet, "/api/v1/orders?all=true&q="+url.QueryEscape(email), nil)
	if err != nil {
		t.Fatal(err)
	}
	if orders := placed.Len("orders"); orders != 1 {
		t.Errorf("%d orders were placed", orders)
	}
	order := strings.TrimPrefix(first, "200 ")
	b.open(order)
	if first, second := b.twice("#pay"); first != "200 "+order || second != first {
		t.Errorf("paid: %q and %q", first, second)
	}
	b.open(order)
	b.wait("#status", "Confirmed")
	payments, err := admin.Must(t.Context(), http.MethodGet, "/api/v1/billing/payments?all=true&orderId="+strings.TrimPrefix(order, "/shop/orders/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if payments.Len("payments") != 1 {
		t.Errorf("the payments are %s", payments.Raw)
	}
}

// TestTwoTabsOrderOneCart sends the checkout of one cart from two tabs: the
// second finds that the goods are ordered.
func TestTwoTabsOrderOneCart(t *testing.T) {
	t.Parallel()
	slug, email := newProduct(t, "Walnut chest", 10), shop.NewEmail()
	b := newTab(t, 1280)
	b.expected = []string{"404", "409", "412"}
	b.open("/shop/products/" + slug)
	b.send(".buy .primary")
	b.open("/shop/checkout")
	b.fill(map[string]string{
		"#email": email, "#recipient": "Pat Example", "#line1": "Main Street 1", "#postal_code": "10115", "#city": "Berlin", "#country": "DE",
	})
	// The other tab has a form of its own, with another key, of the same cart.
	status := get(b, chromedp.Evaluate[[]int](`(async () => {
		const page = new DOMParser().parseFromString(await (await fetch("/shop/checkout")).text(), "text/html");
		const here = new FormData(document.querySelector("form.sheet"));
		const there = new FormData(document.querySelector("form.sheet"));
		there.set("key", page.querySelector("form.sheet input[name=key]").value);
		const send = data => fetch("/shop/checkout", {method: "POST", body: new URLSearchParams(data)});
		const answers = await Promise.all([send(here), send(there)]);
		return answers.map(answer => answer.status);
	})()`, chromedp.EvalAwaitPromise))
	placed, err := admin.Must(t.Context(), http.MethodGet, "/api/v1/orders?all=true&q="+url.QueryEscape(email), nil)
	if err != nil {
		t.Fatal(err)
	}
	if orders := placed.Len("orders"); orders != 1 {
		t.Errorf("%d orders were placed from one cart; the tabs show %d", orders, status)
	}
}
