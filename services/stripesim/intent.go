package stripesim

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Statuses of a payment intent.
const (
	statusNeedsMethod  = "requires_payment_method"
	statusNeedsConfirm = "requires_confirmation"
	statusNeedsAction  = "requires_action"
	statusNeedsCapture = "requires_capture"
	statusProcessing   = "processing"
	statusSucceeded    = "succeeded"
	statusCanceled     = "canceled"
)

// intentInput is what create, update and confirm have in common.
type intentInput struct {
	confirm       bool
	confirmation  confirmInput
	method        methodInput
	customer      string
	changeDetails func(*paymentIntent)
}

// confirmInput is what matters only while money is asked for.
type confirmInput struct {
	returnURL     string
	offSession    bool
	errorOnAction bool
}

// unmodelled are parameters that Stripe documents and that change nothing here.
var unmodelled = []string{
	"application_fee_amount", "mandate", "mandate_data", "on_behalf_of", "payment_method_configuration",
	"payment_method_options", "radar_options", "transfer_data", "use_stripe_sdk",
}

func readConfirm(f *form) confirmInput {
	in := confirmInput{
		returnURL:     f.textOr("return_url", ""),
		errorOnAction: f.flag("error_on_requires_action"),
	}
	// off_session is a boolean or one of two words.
	in.offSession = f.oneOf("off_session", "false", "true", "false", "one_off", "recurring") != "false"
	if in.returnURL != "" && !strings.Contains(in.returnURL, "://") {
		f.fail(invalid("url_invalid", "return_url", "Not a valid URL"))
	}
	return in
}

// readPayment reads what may still change when the intent is confirmed.
func readPayment(f *form) intentInput {
	in := intentInput{method: readMethod(f)}
	email, future := f.text("receipt_email"), f.oneOf("setup_future_usage", "", "off_session", "on_session")
	ship := readShipping(f)
	f.ignore(unmodelled...)
	in.changeDetails = func(pi *paymentIntent) {
		assign(&pi.ReceiptEmail, email)
		if future != "" {
			pi.SetupFutureUsage = &future
		}
		if ship != nil {
			pi.Shipping = ship
		}
	}
	return in
}

// readDetails reads what may be set at creation and changed later.
func readDetails(f *form) intentInput {
	in := readPayment(f)
	customerID, description := f.text("customer"), f.text("description")
	descriptor, suffix := f.text("statement_descriptor"), f.text("statement_descriptor_suffix")
	group := f.text("transfer_group")
	f.metadata(nil) // checks now; applied below, when the old metadata is known
	in.customer = deref(customerID)
	changePayment := in.changeDetails
	in.changeDetails = func(pi *paymentIntent) {
		changePayment(pi)
		assign(&pi.Customer, customerID)
		assign(&pi.Description, description)
		assign(&pi.StatementDescriptor, descriptor)
		assign(&pi.StatementDescriptorSuf, suffix)
		assign(&pi.TransferGroup, group)
		pi.Metadata = f.metadata(pi.Metadata)
	}
	return in
}

// assign changes a field when the parameter was given; empty unsets.
func assign(field **string, given *string) {
	if given != nil {
		*field = unset(given)
	}
}

func createIntent(c *call) (execute, *apiError) {
	f := c.form
	f.required("amount")
	f.required("currency")
	amount, currency := f.integer("amount"), strings.ToLower(f.textOr("currency", ""))
	if f.err == nil {
		if e := checkAmount(*amount, currency); e != nil {
			f.fail(e)
		}
	}
	pi := newIntent(c.sim.now().Unix(), deref(amount), currency)
	pi.CaptureMethod = f.oneOf("capture_method", "automatic", "automatic", "automatic_async", "manual")
	pi.ConfirmationMethod = f.oneOf("confirmation_method", "automatic", "automatic", "manual")
	readMethodTypes(f, pi)
	in := readDetails(f)
	in.confirm = f.flag("confirm")
	if in.confirm {
		in.confirmation = readConfirm(f)
	} else if f.has("return_url") || f.has("off_session") || f.has("error_on_requires_action") {
		f.fail(invalid("", "confirm", "The parameters return_url, off_session and error_on_requires_action can only be passed together with confirm=true."))
		f.ignore("return_url", "off_session", "error_on_requires_action")
	}
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		in.changeDetails(pi)
		if err := insert(ctx, tx, kindIntent, pi.ID, pi); err != nil {
			return nil, err
		}
		if err := w.setMethod(ctx, pi, in); err != nil {
			return nil, err
		}
		if err := w.saveIntent(ctx, pi, "created"); err != nil {
			return nil, err
		}
		if !in.confirm {
			return pi, nil
		}
		return w.confirm(ctx, pi, in.confirmation)
	}, nil
}

func newIntent(created, amount int64, currency string) *paymentIntent {
	id := newID("pi")
	return &paymentIntent{
		ID: id, Object: "payment_intent", Amount: amount, Currency: currency, Created: created,
		AmountDetails: map[string]any{"tip": map[string]any{}}, ClientSecret: id + "_secret_" + randomText(24),
		Metadata: map[string]string{}, Status: statusNeedsMethod, Sim: &intentSim{},
		PaymentMethodOptions: map[string]any{},
	}
}

// readMethodTypes follows this API version: without payment_method_types the
// account's methods are taken, and those may redirect.
func readMethodTypes(f *form, pi *paymentIntent) {
	automatic := f.fields("automatic_payment_methods")
	types := f.list("payment_method_types")
	enabled := len(types) == 0
	if text, ok := automatic["enabled"]; ok {
		enabled = text == "true"
		if text != "true" && text != "false" {
			f.fail(invalid("", "automatic_payment_methods[enabled]", "Invalid boolean: %s", clip(text)))
		}
	}
	redirects := orElse(automatic["allow_redirects"], "always")
	if redirects != "always" && redirects != "never" {
		f.fail(invalid("", "automatic_payment_methods[allow_redirects]", "Invalid automatic_payment_methods[allow_redirects]: must be one of always or never"))
	}
	if enabled && len(types) > 0 {
		f.fail(invalid("", "payment_method_types", "You may only specify one of these parameters: automatic_payment_methods, payment_method_types."))
	}
	known := []string{"card", "us_bank_account"}
	for _, name := range types {
		if !slices.Contains(known, name) {
			f.fail(invalid("", "payment_method_types", "The payment method type \"%s\" is invalid. Known here: %s.", clip(name), strings.Join(known, ", ")))
		}
	}
	switch {
	case enabled:
		pi.AutomaticPaymentMethods = &automaticMethods{AllowRedirects: redirects, Enabled: true}
		pi.PaymentMethodTypes = known
	case len(types) == 0:
		pi.PaymentMethodTypes = []string{"card"}
	default:
		pi.PaymentMethodTypes = types
	}
	if slices.Contains(pi.PaymentMethodTypes, "card") {
		pi.PaymentMethodOptions["card"] = map[string]any{
			"installments": nil, "mandate_options": nil, "network": nil, "request_three_d_secure": "automatic",
		}
	}
}

// setMethod resolves what the caller wants to pay with and moves an intent
// between waiting for a method and waiting for a confirmation.
func (w *work) setMethod(ctx context.Context, pi *paymentIntent, in intentInput) error {
	if in.customer != "" {
		if err := w.customerParam(ctx, in.customer); err != nil {
			return err
		}
	}
	if !in.method.given() {
		return nil
	}
	pm, err := w.resolve(ctx, in.method)
	if err != nil {
		return err
	}
	if !slices.Contains(pi.PaymentMethodTypes, pm.Type) {
		return invalid("", "payment_method", "The PaymentMethod provided (%s) is not allowed for this PaymentIntent. Please attach a PaymentMethod of one of the following types: %s.",
			pm.Type, strings.Join(pi.PaymentMethodTypes, ", "))
	}
	if pm.Customer != nil && deref(pi.Customer) != *pm.Customer {
		return invalid("", "payment_method", "The PaymentMethod %s belongs to a Customer. Please include the Customer in the `customer` parameter on the PaymentIntent.", pm.ID)
	}
	pi.PaymentMethod = &pm.ID
	if pi.Status == statusNeedsMethod {
		pi.Status = statusNeedsConfirm
	}
	return nil
}

func updateIntent(c *call) (execute, *apiError) {
	f := c.form
	amount, currency := f.positive("amount"), f.text("currency")
	in := readDetails(f)
	f.ignore("payment_method_types", "capture_method")
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		pi, err := w.intentOf(ctx, c.id())
		if err != nil {
			return nil, err
		}
		open := []string{statusNeedsMethod, statusNeedsConfirm, statusNeedsAction}
		if (amount != nil || currency != nil || in.method.given()) && !slices.Contains(open, pi.Status) {
			return nil, unexpectedState(pi, "This PaymentIntent's amount, currency and payment method could not be updated because it has a status of %s. You may only update a PaymentIntent with one of the following statuses: %s.",
				pi.Status, strings.Join(open, ", "))
		}
		if amount != nil {
			pi.Amount = *amount
		}
		if currency != nil {
			pi.Currency = strings.ToLower(*currency)
		}
		if e := checkAmount(pi.Amount, pi.Currency); e != nil {
			return nil, e
		}
		in.changeDetails(pi)
		if err := w.setMethod(ctx, pi, in); err != nil {
			return nil, err
		}
		return pi, w.saveIntent(ctx, pi)
	}, nil
}

func listIntents(c *call) (execute, *apiError) {
	filter := listFilter{kind: kindIntent, url: "/v1/payment_intents"}
	filter.match("customer", c.form.text("customer"))
	return filter.list(c)
}

// redirectRefused tells of the trap of this API version: methods chosen by the
// account may redirect, so a confirmation must say where to return to.
func redirectRefused(pi *paymentIntent, in confirmInput) *apiError {
	auto := pi.AutomaticPaymentMethods
	if auto == nil || auto.AllowRedirects == "never" || in.returnURL != "" {
		return nil
	}
	e := invalid("", "return_url", "This PaymentIntent %s is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.", pi.ID)
	e.PaymentIntent = render(pi)
	return e
}
