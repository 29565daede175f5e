package stripesim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

func TestIntentLifeWithStripesClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cus, err := b.stripe.Customers.New(&stripe.CustomerParams{Email: stripe.String("ada@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	params := cardIntent("", false)
	params.Customer = &cus.ID
	params.Description = stripe.String("Order 1")
	params.AddMetadata("order_id", "o-1")
	params.Shipping = &stripe.ShippingDetailsParams{
		Name:    stripe.String("Ada"),
		Address: &stripe.AddressParams{City: stripe.String("Wien"), Country: stripe.String("AT")},
	}
	pi, err := b.stripe.PaymentIntents.New(params)
	if err != nil {
		t.Fatal(err)
	}
	if pi.Status != stripe.PaymentIntentStatusRequiresPaymentMethod || pi.Amount != 1999 || pi.Currency != "eur" ||
		pi.Metadata["order_id"] != "o-1" || pi.Customer.ID != cus.ID || pi.Shipping.Address.City != "Wien" ||
		!strings.HasPrefix(pi.ID, "pi_") || !strings.HasPrefix(pi.ClientSecret, pi.ID+"_secret_") || pi.Livemode {
		t.Fatalf("created %+v", pi)
	}

	update := &stripe.PaymentIntentParams{Amount: stripe.Int64(2500), Description: stripe.String("")}
	update.AddMetadata("order_id", "")
	update.AddMetadata("note", "x")
	if pi, err = b.stripe.PaymentIntents.Update(pi.ID, update); err != nil {
		t.Fatal(err)
	}
	if pi.Amount != 2500 || pi.Description != "" || len(pi.Metadata) != 1 || pi.Metadata["note"] != "x" {
		t.Fatalf("updated %+v", pi)
	}

	if pi, err = b.stripe.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{PaymentMethod: stripe.String("pm_card_visa")}); err != nil {
		t.Fatal(err)
	}
	if pi.Status != stripe.PaymentIntentStatusRequiresConfirmation {
		t.Fatalf("status with a method = %s", pi.Status)
	}
	confirm := &stripe.PaymentIntentConfirmParams{ReceiptEmail: stripe.String("ada@example.com")}
	confirm.AddExpand("latest_charge.balance_transaction")
	if pi, err = b.stripe.PaymentIntents.Confirm(pi.ID, confirm); err != nil {
		t.Fatal(err)
	}
	ch := pi.LatestCharge
	if pi.Status != stripe.PaymentIntentStatusSucceeded || pi.AmountReceived != 2500 || !ch.Paid || !ch.Captured ||
		ch.Amount != 2500 || ch.PaymentMethodDetails.Card.Last4 != "4242" || ch.PaymentIntent.ID != pi.ID {
		t.Fatalf("confirmed %+v, charge %+v", pi, ch)
	}
	txn := ch.BalanceTransaction
	if txn.Amount != 2500 || txn.Fee <= 0 || txn.Net != txn.Amount-txn.Fee || txn.Source.ID != ch.ID {
		t.Fatalf("balance transaction %+v", txn)
	}
	got, err := b.stripe.Charges.Get(ch.ID, nil)
	if err != nil || got.ID != ch.ID || got.Customer.ID != cus.ID {
		t.Fatalf("charge %+v, %v", got, err)
	}
}

func TestIntentValidation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const ok = "payment_method_types[]=card"
	tests := map[string]struct {
		form   string
		status int
		code   string
		param  string
	}{
		"no amount":          {"currency=eur&" + ok, 400, "parameter_missing", "amount"},
		"empty amount":       {"amount=&currency=eur&" + ok, 400, "parameter_invalid_empty", "amount"},
		"amount as text":     {"amount=19.99&currency=eur&" + ok, 400, "parameter_invalid_integer", "amount"},
		"huge amount":        {"amount=99999999999999999999&currency=eur&" + ok, 400, "parameter_invalid_integer", "amount"},
		"negative":           {"amount=-5&currency=eur&" + ok, 400, "parameter_invalid_integer", "amount"},
		"too small":          {"amount=49&currency=eur&" + ok, 400, "amount_too_small", "amount"},
		"too large":          {"amount=100000000&currency=eur&" + ok, 400, "amount_too_large", "amount"},
		"no currency":        {"amount=100&" + ok, 400, "parameter_missing", "currency"},
		"unknown currency":   {"amount=100&currency=xyz&" + ok, 400, "", "currency"},
		"yen":                {"amount=1999&currency=jpy&" + ok, 200, "", ""},
		"dinar":              {"amount=19990&currency=kwd&" + ok, 200, "", ""},
		"dinar, odd fils":    {"amount=19999&currency=kwd&" + ok, 400, "parameter_invalid_integer", "amount"},
		"krona in hundreds":  {"amount=199900&currency=isk&" + ok, 200, "", ""},
		"krona, odd":         {"amount=1999&currency=isk&" + ok, 400, "parameter_invalid_integer", "amount"},
		"unknown parameter":  {"amount=100&currency=eur&colour=red&" + ok, 400, "parameter_unknown", "colour"},
		"unknown customer":   {"amount=100&currency=eur&customer=cus_x&" + ok, 400, "resource_missing", "customer"},
		"unknown method":     {"amount=100&currency=eur&payment_method=pm_x&" + ok, 400, "resource_missing", "payment_method"},
		"method of no kind":  {"amount=100&currency=eur&payment_method=x&" + ok, 400, "resource_missing", "payment_method"},
		"other type":         {"amount=100&currency=eur&payment_method=pm_usBankAccount&" + ok, 400, "", "payment_method"},
		"unknown type":       {"amount=100&currency=eur&payment_method_types[]=cheque", 400, "", "payment_method_types"},
		"both kinds of type": {"amount=100&currency=eur&automatic_payment_methods[enabled]=true&" + ok, 400, "", "payment_method_types"},
		"bad automatic":      {"amount=100&currency=eur&automatic_payment_methods[enabled]=yes", 400, "", "automatic_payment_methods[enabled]"},
		"bad redirects":      {"amount=100&currency=eur&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=x", 400, "", "automatic_payment_methods[allow_redirects]"},
		"not automatic":      {"amount=100&currency=eur&automatic_payment_methods[enabled]=false", 200, "", ""},
		"bad boolean":        {"amount=100&currency=eur&confirm=maybe&" + ok, 400, "", "confirm"},
		"bad capture":        {"amount=100&currency=eur&capture_method=later&" + ok, 400, "", "capture_method"},
		"confirm too early":  {"amount=100&currency=eur&return_url=https://x.example&" + ok, 400, "", "confirm"},
		"bad return url":     {"amount=100&currency=eur&confirm=true&payment_method=pm_card_visa&return_url=nowhere&" + ok, 400, "url_invalid", "return_url"},
		"no method":          {"amount=100&currency=eur&confirm=true&" + ok, 400, "payment_intent_unexpected_state", ""},
		"long text":          {"amount=100&currency=eur&description=" + strings.Repeat("a", 5001) + "&" + ok, 400, "parameter_invalid_string_too_long", "description"},
		"bad utf-8":          {"amount=100&currency=eur&description=%ff&" + ok, 400, "", "description"},
		"nul":                {"amount=100&currency=eur&description=a%00b&" + ok, 400, "", "description"},
		"not a form":         {"amount=%zz", 400, "", ""},
		"long metadata key":  {"amount=100&currency=eur&metadata[" + strings.Repeat("k", 41) + "]=v&" + ok, 400, "", "metadata"},
		"long metadata":      {"amount=100&currency=eur&metadata[k]=" + strings.Repeat("v", 501) + "&" + ok, 400, "", "metadata"},
		"unmodelled":         {"amount=100&currency=eur&payment_method_options[card][request_three_d_secure]=any&" + ok, 200, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, answer := b.post("/v1/payment_intents", tt.form)
			if status != tt.status {
				t.Fatalf("status %d, want %d: %v", status, tt.status, answer)
			}
			if tt.status == http.StatusOK {
				return
			}
			e, _ := answer["error"].(map[string]any)
			code, _ := e["code"].(string)
			param, _ := e["param"].(string)
			if code != tt.code || param != tt.param || e["type"] != "invalid_request_error" {
				t.Errorf("error %v, want code %q and param %q", e, tt.code, tt.param)
			}
		})
	}
}

func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, answer := b.post("/v1/payment_intents", "description="+strings.Repeat("a", 2<<20))
	if status != http.StatusRequestEntityTooLarge {
		t.Fatalf("status %d: %v", status, answer)
	}
}

// In this API version the account's methods are the default, and those may
// redirect: a confirmation without return_url is refused.
func TestConfirmNeedsReturnURLUnlessTypesAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi, err := b.stripe.PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: stripe.Int64(1999), Currency: stripe.String("EUR"), PaymentMethod: stripe.String("pm_card_visa"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !pi.AutomaticPaymentMethods.Enabled || pi.Currency != "eur" {
		t.Fatalf("created %+v", pi)
	}
	_, err = b.stripe.PaymentIntents.Confirm(pi.ID, nil)
	if e := stripeError(t, err); e.Param != "return_url" || e.PaymentIntent.ID != pi.ID {
		t.Fatalf("error %+v", e)
	}
	pi, err = b.stripe.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{ReturnURL: stripe.String("https://shop.example/back")})
	if err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded {
		t.Fatalf("%+v, %v", pi, err)
	}
}

func TestIntentListPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cus, err := b.stripe.Customers.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for range 5 {
		params := cardIntent("", false)
		params.Customer = &cus.ID
		pi, err := b.stripe.PaymentIntents.New(params)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, pi.ID)
	}
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(made)

	list := &stripe.PaymentIntentListParams{Customer: &cus.ID}
	list.Limit = stripe.Int64(2) // the iterator fetches the other pages
	var seen []string
	iter := b.stripe.PaymentIntents.List(list)
	for iter.Next() {
		seen = append(seen, iter.PaymentIntent().ID)
	}
	if iter.Err() != nil || !slices.Equal(seen, made) {
		t.Fatalf("listed %v, %v, want %v", seen, iter.Err(), made)
	}

	back := &stripe.PaymentIntentListParams{Customer: &cus.ID}
	back.EndingBefore, back.Limit, back.Single = &made[4], stripe.Int64(2), true
	seen = nil
	iter = b.stripe.PaymentIntents.List(back)
	for iter.Next() {
		seen = append(seen, iter.PaymentIntent().ID)
	}
	// The client turns such a page round, so it comes oldest first.
	if iter.Err() != nil || !slices.Equal(seen, []string{made[3], made[2]}) {
		t.Fatalf("before the last: %v, %v", seen, iter.Err())
	}

	created := b.intent(made[0]).Created
	for bound, want := range map[string]int{
		"created[gte]=" + itoa(created-60): 6, "created[lt]=" + itoa(created-60): 0, "created=" + itoa(created-3600): 0,
	} {
		status, answer := b.call(http.MethodGet, "/v1/payment_intents?"+bound, "", "")
		if data, _ := answer["data"].([]any); status != 200 || len(data) != want {
			t.Errorf("%s: %d, %d found, want %d", bound, status, len(data), want)
		}
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "starting_after=pi_x", "starting_after=a&ending_before=b", "colour=red"} {
		if status, answer := b.call(http.MethodGet, "/v1/payment_intents?"+query, "", ""); status != 400 {
			t.Errorf("%s: %d %v", query, status, answer)
		}
	}
}

func TestUnknownObjectsAre404(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{
		"payment_intents/pi_x", "customers/cus_x", "payment_methods/pm_x", "refunds/re_x",
		"charges/ch_x", "events/evt_x", "balance_transactions/txn_x",
	} {
		status, answer := b.call(http.MethodGet, "/v1/"+path, "", "")
		e, _ := answer["error"].(map[string]any)
		if status != 404 || e["code"] != "resource_missing" || e["type"] != "invalid_request_error" {
			t.Errorf("GET %s: %d %v", path, status, answer)
		}
	}
	for _, path := range []string{
		"payment_intents/pi_x", "payment_intents/pi_x/confirm", "payment_intents/pi_x/cancel",
		"payment_intents/pi_x/capture", "customers/cus_x", "payment_methods/pm_x/detach",
	} {
		if status, answer := b.post("/v1/"+path, ""); status != 404 {
			t.Errorf("POST %s: %d %v", path, status, answer)
		}
	}
	if status, answer := b.post("/v1/subscriptions", ""); status != 404 || !strings.Contains(answer["error"].(map[string]any)["message"].(string), "Unrecognized request URL") {
		t.Errorf("unknown URL: %d %v", status, answer)
	}
}

func TestKeyIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.clientWith("sk_test_somebodyElsesKey1234", b.http).PaymentIntents.New(cardIntent("", false))
	e := stripeError(t, err)
	if e.HTTPStatusCode != 401 || strings.Contains(e.Msg, "somebodyElses") || !strings.HasSuffix(e.Msg, "1234") {
		t.Errorf("error %+v", e)
	}
	for name, header := range map[string]string{"none": "", "short": "Bearer x", "other scheme": "Digest " + testKey} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		resp, err := b.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 || resp.Header.Get("Request-Id") == "" {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(testKey, "")
	req.Header.Set("Stripe-Version", "2031-01-01")
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("other API version: %d, want 400", resp.StatusCode)
	}
}
