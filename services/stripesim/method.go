package stripesim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
)

// methodInput names what is paid with: a stored method, a test method, or the
// data of a new one.
type methodInput struct {
	id      string
	test    *testMethod
	billing billingDetails
}

func (in methodInput) given() bool { return in.id != "" || in.test != nil }

func readMethod(f *form) methodInput {
	in := methodInput{id: deref(f.text("payment_method"))}
	if f.has("payment_method_data[type]") {
		in.test, in.billing = readMethodData(f, "payment_method_data")
	}
	return in
}

// readMethodData reads type, card number or token, and billing details below a
// prefix; the prefix is empty for POST /v1/payment_methods.
func readMethodData(f *form, prefix string) (*testMethod, billingDetails) {
	at := func(name string) string {
		if prefix == "" {
			return name
		}
		outer, inner, found := strings.Cut(name, "[")
		if found {
			inner = "[" + inner
		}
		return prefix + "[" + outer + "]" + inner
	}
	billing := readBilling(f, at("billing_details"))
	if kind := f.required(at("type")); kind != "card" {
		f.fail(invalid("", at("type"), "Invalid type: only card can be made from data here; use pm_usBankAccount for a bank account."))
		return nil, billing
	}
	for _, name := range []string{"card[exp_month]", "card[exp_year]", "card[cvc]"} {
		f.text(at(name))
	}
	if token := f.text(at("card[token]")); token != nil {
		test := testMethods.byID[*token]
		if test == nil || !strings.HasPrefix(*token, "tok_") {
			f.fail(missing(http.StatusBadRequest, "token", *token, at("card[token]")))
		}
		return test, billing
	}
	number := strings.ReplaceAll(f.required(at("card[number]")), " ", "")
	test := testMethods.byNumber[number]
	if test == nil {
		// The number is never repeated: it may be a real one.
		f.fail(&apiError{
			Status: http.StatusPaymentRequired, Type: typeCard, Code: "incorrect_number",
			Param: at("card[number]"), Message: "Your card number is incorrect. Only Stripe's test cards work here.",
		})
	}
	return test, billing
}

// resolve finds the method that a call names. Each use of a test method makes
// a method of its own, as at Stripe.
func (w *work) resolve(ctx context.Context, in methodInput) (*paymentMethod, error) {
	test := in.test
	if test == nil && strings.HasPrefix(in.id, "pm_") {
		test = testMethods.byID[in.id]
	}
	if test != nil {
		pm := w.newMethod(test, in.billing)
		return pm, insert(ctx, w.tx, kindMethod, pm.ID, pm)
	}
	pm, err := find[paymentMethod](ctx, w.tx, kindMethod, in.id)
	if errors.Is(err, errNotFound) {
		return nil, missing(http.StatusBadRequest, kindMethod.name, in.id, "payment_method")
	}
	return pm, err
}

func (w *work) newMethod(test *testMethod, billing billingDetails) *paymentMethod {
	sum := sha256.Sum256([]byte(test.number))
	fingerprint := hex.EncodeToString(sum[:8])
	pm := &paymentMethod{
		ID: newID("pm"), Object: "payment_method", BillingDetails: billing, Created: w.now.Unix(),
		Metadata: map[string]string{}, Type: "card", Sim: &methodSim{Behaviour: test.name},
	}
	if test.bank {
		pm.Type = "us_bank_account"
		pm.USBankAccount = &bankAccount{
			AccountHolderType: "individual", AccountType: "checking", BankName: "STRIPE TEST BANK",
			Fingerprint: fingerprint, Last4: test.last4(), RoutingNumber: "110000000",
		}
		return pm
	}
	pm.Card = &card{
		Brand: test.brand, Country: test.country, ExpMonth: 12, ExpYear: w.now.Year() + 2, Fingerprint: fingerprint,
		Funding: test.funding, Last4: test.last4(), Checks: cardChecks{CVCCheck: ptr("pass")},
		Networks: cardNetworks{Available: []string{test.brand}}, ThreeDS: map[string]bool{"supported": true},
	}
	return pm
}

func createMethod(c *call) (execute, *apiError) {
	test, billing := readMethodData(c.form, "")
	metadata := c.form.metadata(nil)
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		pm := c.work(tx).newMethod(test, billing)
		pm.Metadata = metadata
		return pm, insert(ctx, tx, kindMethod, pm.ID, pm)
	}, nil
}

func retrieveMethod(c *call) (execute, *apiError) {
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		pm, err := c.work(tx).resolve(ctx, methodInput{id: c.id()})
		return pm, inPath(err)
	}, nil
}

// inPath makes an unknown id a 404: it was in the path, not in a parameter.
func inPath(err error) error {
	var e *apiError
	if errors.As(err, &e) && e.Code == codeResourceMissing {
		e.Status = http.StatusNotFound
	}
	return err
}

func attachMethod(c *call) (execute, *apiError) {
	customerID := c.form.required("customer")
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		if err := w.customerParam(ctx, customerID); err != nil {
			return nil, err
		}
		pm, err := w.resolve(ctx, methodInput{id: c.id()})
		if err != nil {
			return nil, inPath(err)
		}
		if pm, err = lock[paymentMethod](ctx, tx, kindMethod, pm.ID); err != nil {
			return nil, err
		}
		test := testMethods.byName[pm.Sim.Behaviour]
		switch {
		case pm.Customer != nil && *pm.Customer != customerID:
			return nil, invalid("", "", "The payment method you provided has already been attached to a customer.")
		case pm.Customer == nil && pm.Sim.Consumed:
			return nil, invalid("", "", "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again.")
		case test.attachFails:
			e := &apiError{
				Status: http.StatusPaymentRequired, Type: typeCard, Code: test.decline.code,
				DeclineCode: test.decline.declineCode, Message: test.decline.message,
			}
			return nil, e.withDoc()
		}
		pm.Customer = &customerID
		if err := save(ctx, tx, kindMethod, pm.ID, pm); err != nil {
			return nil, err
		}
		return pm, w.emit(ctx, "payment_method.attached", pm, nil)
	}, nil
}

func detachMethod(c *call) (execute, *apiError) {
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		pm, err := lock[paymentMethod](ctx, tx, kindMethod, c.id())
		if errors.Is(err, errNotFound) {
			return nil, missing(http.StatusNotFound, kindMethod.name, c.id(), "payment_method")
		}
		if err != nil {
			return nil, err
		}
		if pm.Customer == nil {
			return nil, invalid("", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
		}
		previous := map[string]any{"customer": *pm.Customer}
		pm.Customer, pm.Sim.Consumed = nil, true
		if err := save(ctx, tx, kindMethod, pm.ID, pm); err != nil {
			return nil, err
		}
		return pm, w.emit(ctx, "payment_method.detached", pm, previous)
	}, nil
}

func listCustomerMethods(c *call) (execute, *apiError) {
	filter := listFilter{kind: kindMethod, url: "/v1/customers/" + c.id() + "/payment_methods"}
	filter.match("customer", ptr(c.id()))
	filter.match("type", c.form.text("type"))
	return filter.list(c)
}

// readBilling and readShipping take nested texts and nothing else.
func readBilling(f *form, name string) billingDetails {
	top := f.fields(name)
	return billingDetails{Address: readAddress(f, name+"[address]"), Email: given(top, "email"), Name: given(top, "name"), Phone: given(top, "phone")}
}

func readShipping(f *form) *shipping {
	top := f.fields("shipping")
	if top == nil {
		return nil
	}
	return &shipping{
		Address: readAddress(f, "shipping[address]"), Name: top["name"], Phone: given(top, "phone"),
		Carrier: given(top, "carrier"), TrackingNumber: given(top, "tracking_number"),
	}
}

func readAddress(f *form, name string) address {
	v := f.fields(name)
	return address{
		City: given(v, "city"), Country: given(v, "country"), Line1: given(v, "line1"),
		Line2: given(v, "line2"), PostalCode: given(v, "postal_code"), State: given(v, "state"),
	}
}

func given(fields map[string]string, name string) *string {
	value, ok := fields[name]
	if !ok {
		return nil
	}
	return unset(&value)
}
