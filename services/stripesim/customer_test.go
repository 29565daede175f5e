package stripesim_test

import (
	"testing"

	"github.com/stripe/stripe-go/v76"
)

func TestCustomers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	params := &stripe.CustomerParams{
		Email: stripe.String("ada@example.com"), Name: stripe.String("Ada"), PaymentMethod: stripe.String("pm_card_visa"),
		Address: &stripe.AddressParams{Country: stripe.String("AT")},
	}
	params.AddMetadata("user_id", "u-1")
	cus, err := b.stripe.Customers.New(params)
	if err != nil {
		t.Fatal(err)
	}
	if cus.Email != "ada@example.com" || cus.Address.Country != "AT" || cus.Metadata["user_id"] != "u-1" {
		t.Fatalf("created %+v", cus)
	}
	methods := b.stripe.Customers.ListPaymentMethods(&stripe.CustomerListPaymentMethodsParams{Customer: &cus.ID, Type: stripe.String("card")})
	if !methods.Next() {
		t.Fatalf("no method: %v", methods.Err())
	}
	method := methods.PaymentMethod()
	update := &stripe.CustomerParams{
		Name:            stripe.String("Ada L."),
		InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &method.ID},
		Shipping:        &stripe.CustomerShippingParams{Name: stripe.String("Ada"), Address: &stripe.AddressParams{City: stripe.String("Graz")}},
	}
	if _, err = b.stripe.Customers.Update(cus.ID, update); err != nil {
		t.Fatal(err)
	}
	got, err := b.stripe.Customers.Get(cus.ID, nil)
	if err != nil || got.Name != "Ada L." || got.Email != "ada@example.com" || got.Shipping.Address.City != "Graz" ||
		got.InvoiceSettings.DefaultPaymentMethod.ID != method.ID {
		t.Fatalf("updated %+v, %v", got, err)
	}
	found := b.stripe.Customers.List(&stripe.CustomerListParams{Email: stripe.String("ada@example.com")})
	if !found.Next() || found.Customer().ID != cus.ID {
		t.Errorf("by email: %v", found.Err())
	}
	for form, param := range map[string]string{
		"email=nobody": "email", "invoice_settings[default_payment_method]=pm_x": "invoice_settings[default_payment_method]",
	} {
		status, answer := b.post("/v1/customers/"+cus.ID, form)
		if e, _ := answer["error"].(map[string]any); status != 400 || e["param"] != param {
			t.Errorf("%s: %d %v", form, status, answer)
		}
	}

	gone, err := b.stripe.Customers.Del(cus.ID, nil)
	if err != nil || !gone.Deleted {
		t.Fatalf("deleted %+v, %v", gone, err)
	}
	if got, err = b.stripe.Customers.Get(cus.ID, nil); err != nil || !got.Deleted || got.Email != "" {
		t.Errorf("stump %+v, %v", got, err)
	}
	if _, err := b.stripe.Customers.Update(cus.ID, update); stripeError(t, err).HTTPStatusCode != 404 {
		t.Errorf("update of the deleted: %v", err)
	}
	if _, err := b.stripe.Customers.Del(cus.ID, nil); stripeError(t, err).HTTPStatusCode != 404 {
		t.Errorf("second deletion: %v", err)
	}
	order := cardIntent("", false)
	order.Customer = &cus.ID
	if _, err := b.stripe.PaymentIntents.New(order); stripeError(t, err).Param != "customer" {
		t.Errorf("payment of the deleted: %v", err)
	}
	if status, _ := b.post("/v1/customers", "payment_method=pm_x"); status != 400 {
		t.Errorf("customer with an unknown method: %d", status)
	}
}

func TestMethodAttachment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newCustomer := func() *stripe.Customer {
		cus, err := b.stripe.Customers.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cus
	}
	ada, bob := newCustomer(), newCustomer()
	attach := func(method, customer string) (*stripe.PaymentMethod, error) {
		return b.stripe.PaymentMethods.Attach(method, &stripe.PaymentMethodAttachParams{Customer: &customer})
	}
	pm, err := attach("pm_card_mastercard", ada.ID)
	if err != nil || pm.Customer.ID != ada.ID || pm.Card.Brand != stripe.PaymentMethodCardBrandMastercard || pm.Card.Last4 != "4444" || pm.ID == "pm_card_mastercard" {
		t.Fatalf("attached %+v, %v", pm, err)
	}
	if got, err := b.stripe.PaymentMethods.Get(pm.ID, nil); err != nil || got.ID != pm.ID {
		t.Errorf("get: %+v, %v", got, err)
	}
	if got, err := b.stripe.PaymentMethods.Get("pm_card_amex", nil); err != nil || got.Card.Brand != "amex" {
		t.Errorf("get of a test method: %+v, %v", got, err)
	}
	if _, err := attach(pm.ID, bob.ID); stripeError(t, err).HTTPStatusCode != 400 {
		t.Errorf("attached to a second customer: %v", err)
	}
	if _, err := attach("pm_card_chargeDeclined", ada.ID); stripeError(t, err).HTTPStatusCode != 402 {
		t.Errorf("a declined card was attached: %v", err)
	}
	if _, err := attach("pm_x", ada.ID); stripeError(t, err).HTTPStatusCode != 404 {
		t.Errorf("unknown method: %v", err)
	}
	if _, err := attach(pm.ID, "cus_x"); stripeError(t, err).Param != "customer" {
		t.Errorf("unknown customer: %v", err)
	}

	// It pays for its owner, again and again, and for nobody else.
	for range 2 {
		params := cardIntent(pm.ID, true)
		params.Customer = &ada.ID
		if pi, err := b.stripe.PaymentIntents.New(params); err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded {
			t.Fatalf("%+v, %v", pi, err)
		}
	}
	stolen := cardIntent(pm.ID, true)
	stolen.Customer = &bob.ID
	if _, err := b.stripe.PaymentIntents.New(stolen); stripeError(t, err).Param != "payment_method" {
		t.Errorf("foreign method: %v", err)
	}
	// This one attaches and then never pays.
	failing, err := attach("pm_card_chargeCustomerFail", ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	params := cardIntent(failing.ID, true)
	params.Customer = &ada.ID
	if _, err := b.stripe.PaymentIntents.New(params); stripeError(t, err).HTTPStatusCode != 402 {
		t.Errorf("charge: %v", err)
	}

	if pm, err = b.stripe.PaymentMethods.Detach(pm.ID, nil); err != nil || pm.Customer != nil {
		t.Fatalf("detached %+v, %v", pm, err)
	}
	if _, err := b.stripe.PaymentMethods.Detach(pm.ID, nil); stripeError(t, err).HTTPStatusCode != 400 {
		t.Errorf("second detachment: %v", err)
	}
	if _, err := attach(pm.ID, ada.ID); stripeError(t, err).HTTPStatusCode != 400 {
		t.Errorf("attached after detachment: %v", err)
	}
}

func TestMethodWithoutCustomerPaysOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := b.pay("pm_card_visa")
	if _, err := b.stripe.PaymentIntents.New(cardIntent(pi.PaymentMethod.ID, true)); stripeError(t, err).Param != "payment_method" {
		t.Errorf("second payment: %v", err)
	}
	cus, err := b.stripe.Customers.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	params := cardIntent("pm_card_visa", true)
	params.Customer, params.SetupFutureUsage = &cus.ID, stripe.String("off_session")
	saved, err := b.stripe.PaymentIntents.New(params)
	if err != nil {
		t.Fatal(err)
	}
	again := cardIntent(saved.PaymentMethod.ID, true)
	again.Customer, again.OffSession = &cus.ID, stripe.Bool(true)
	if pi, err := b.stripe.PaymentIntents.New(again); err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded {
		t.Errorf("saved method: %+v, %v", pi, err)
	}
}

func TestMethodsFromCardData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	params := &stripe.PaymentMethodParams{
		Type: stripe.String("card"),
		Card: &stripe.PaymentMethodCardParams{Number: stripe.String("4000 0000 0000 9995"), ExpMonth: stripe.Int64(12), ExpYear: stripe.Int64(2040), CVC: stripe.String("123")},
		BillingDetails: &stripe.PaymentMethodBillingDetailsParams{
			Name: stripe.String("Ada"), Email: stripe.String("ada@example.com"),
			Address: &stripe.AddressParams{City: stripe.String("Wien")},
		},
	}
	params.AddMetadata("k", "v")
	pm, err := b.stripe.PaymentMethods.New(params)
	if err != nil || pm.Card.Last4 != "9995" || pm.BillingDetails.Address.City != "Wien" || pm.BillingDetails.Name != "Ada" || pm.Metadata["k"] != "v" {
		t.Fatalf("made %+v, %v", pm, err)
	}
	if _, err := b.stripe.PaymentIntents.New(cardIntent(pm.ID, true)); stripeError(t, err).DeclineCode != "insufficient_funds" {
		t.Errorf("payment: %v", err)
	}
	const intent = "amount=1999&currency=eur&payment_method_types[]=card&confirm=true&payment_method_data[type]=card&payment_method_data"
	status, answer := b.post("/v1/payment_intents", intent+"[card][token]=tok_visa&payment_method_data[billing_details][address][country]=AT")
	if status != 200 || answer["status"] != "succeeded" {
		t.Errorf("token: %d %v", status, answer)
	}
	for form, param := range map[string]string{
		intent + "[card][token]=tok_x":             "payment_method_data[card][token]",
		intent + "[card][number]=4111111111111111": "payment_method_data[card][number]",
		intent + "[card][exp_month]=5":             "payment_method_data[card][number]",
		"amount=1999&currency=eur&payment_method_types[]=card&payment_method_data[type]=paypal": "payment_method_data[type]",
	} {
		status, answer := b.post("/v1/payment_intents", form)
		e, _ := answer["error"].(map[string]any)
		if status < 400 || e["param"] != param {
			t.Errorf("%s: %d %v", form, status, answer)
		}
	}
}

func TestChargesOfAnIntent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_chargeDeclined", true))
	pi := stripeError(t, err).PaymentIntent
	if _, err := b.stripe.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")}); err != nil {
		t.Fatal(err)
	}
	iter := b.stripe.Charges.List(&stripe.ChargeListParams{PaymentIntent: &pi.ID})
	var statuses []stripe.ChargeStatus
	for iter.Next() {
		statuses = append(statuses, iter.Charge().Status)
	}
	if iter.Err() != nil || len(statuses) != 2 || statuses[0] != "succeeded" || statuses[1] != "failed" {
		t.Errorf("charges %v, %v", statuses, iter.Err())
	}
}
