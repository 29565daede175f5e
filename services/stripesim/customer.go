package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
)

// readCustomer returns what to change on a customer.
func readCustomer(f *form) func(*customer) {
	email, name, phone, description := f.text("email"), f.text("name"), f.text("phone"), f.text("description")
	if email != nil && *email != "" && !strings.Contains(*email, "@") {
		f.fail(invalid("email_invalid", "email", "Invalid email address: %s", clip(*email)))
	}
	ship := readShipping(f)
	var home *address
	if f.fields("address") != nil {
		home = ptr(readAddress(f, "address"))
	}
	settings := f.fields("invoice_settings")
	f.metadata(nil) // checks now; applied below, when the old metadata is known
	f.ignore("preferred_locales", "tax_exempt", "test_clock", "tax", "balance")
	return func(cus *customer) {
		assign(&cus.Email, email)
		assign(&cus.Name, name)
		assign(&cus.Phone, phone)
		assign(&cus.Description, description)
		if ship != nil {
			cus.Shipping = ship
		}
		if home != nil {
			cus.Address = home
		}
		if method, ok := settings["default_payment_method"]; ok {
			cus.InvoiceSettings.DefaultPaymentMethod = unset(&method)
		}
		cus.Metadata = f.metadata(cus.Metadata)
	}
}

func createCustomer(c *call) (execute, *apiError) {
	change := readCustomer(c.form)
	method := readMethod(c.form)
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		cus := &customer{
			ID: newID("cus"), Object: "customer", Created: w.now.Unix(), InvoicePrefix: strings.ToUpper(randomText(8)),
			Metadata: map[string]string{}, PreferredLocale: []string{}, TaxExempt: "none",
		}
		change(cus)
		if method.given() {
			pm, err := w.resolve(ctx, method)
			if err != nil {
				return nil, err
			}
			pm.Customer = &cus.ID
			if err := save(ctx, tx, kindMethod, pm.ID, pm); err != nil {
				return nil, err
			}
		}
		if err := insert(ctx, tx, kindCustomer, cus.ID, cus); err != nil {
			return nil, err
		}
		return cus, w.emit(ctx, "customer.created", cus, nil)
	}, nil
}

func updateCustomer(c *call) (execute, *apiError) {
	change := readCustomer(c.form)
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		cus, err := w.customerOf(ctx, c.id())
		if err != nil {
			return nil, err
		}
		change(cus)
		if method := cus.InvoiceSettings.DefaultPaymentMethod; method != nil {
			if err := w.ownedMethod(ctx, cus.ID, *method); err != nil {
				return nil, err
			}
		}
		if err := save(ctx, tx, kindCustomer, cus.ID, cus); err != nil {
			return nil, err
		}
		return cus, w.emit(ctx, "customer.updated", cus, nil)
	}, nil
}

// customerOf locks the customer of a path.
func (w *work) customerOf(ctx context.Context, id string) (*customer, error) {
	cus, err := lock[customer](ctx, w.tx, kindCustomer, id)
	if errors.Is(err, errNotFound) || (err == nil && cus.Deleted) {
		return nil, missing(http.StatusNotFound, kindCustomer.name, id, "id")
	}
	return cus, err
}

// ownedMethod checks that a default method is one of the customer's own.
func (w *work) ownedMethod(ctx context.Context, customerID, methodID string) error {
	pm, err := find[paymentMethod](ctx, w.tx, kindMethod, methodID)
	if errors.Is(err, errNotFound) || (err == nil && deref(pm.Customer) != customerID) {
		return invalid(codeResourceMissing, "invoice_settings[default_payment_method]",
			"The customer does not have a payment method with the ID %s. The payment method must be attached to the customer.", clip(methodID))
	}
	return err
}

// retrieveCustomer answers with the stump of a customer that was deleted.
func retrieveCustomer(c *call) (execute, *apiError) {
	return retrieve[json.RawMessage](kindCustomer, "id")(c)
}

func deleteCustomer(c *call) (execute, *apiError) {
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		cus, err := w.customerOf(ctx, c.id())
		if err != nil {
			return nil, err
		}
		if err := w.emit(ctx, "customer.deleted", cus, nil); err != nil {
			return nil, err
		}
		stump := map[string]any{"id": cus.ID, "object": "customer", "deleted": true}
		return stump, save(ctx, tx, kindCustomer, cus.ID, stump)
	}, nil
}

func listCustomers(c *call) (execute, *apiError) {
	filter := listFilter{kind: kindCustomer, url: "/v1/customers"}
	filter.match("email", c.form.text("email"))
	return filter.list(c)
}
