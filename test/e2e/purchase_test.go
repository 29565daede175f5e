package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

// TestPurchase walks the path of a customer from registration to the invoice.
func TestPurchase(t *testing.T) {
	eachShape(t, func(t *testing.T, p *platform) {
		ctx := t.Context()
		product, err := p.admin.NewProduct(ctx, "Walnut chopping board", "EUR", 4990, 12)
		if err != nil {
			t.Fatal(err)
		}
		email := shop.NewEmail()
		person, err := p.guest.Register(ctx, email)
		if err != nil {
			t.Fatal(err)
		}
		var found *shop.Answer
		if err := shop.Eventually(ctx, 15*time.Second, func() (bool, error) {
			found, err = person.Must(ctx, http.MethodGet, "/api/v1/products"+shop.Query("q", "walnut chop"), nil)
			return err == nil && strings.Contains(string(found.Raw), product), err
		}); err != nil {
			t.Fatalf("the product is not found by its words: %v", err)
		}
		placed, err := person.Place(ctx, product, 2)
		if err != nil || placed.Status != http.StatusOK {
			t.Fatalf("place: %v %s", err, placed.Raw)
		}
		order := placed.String("order", "id")
		if placed.String("order", "status") != "PENDING" || placed.Int("order", "subtotal", "amountMinor") != 9980 {
			t.Errorf("placed order is %s", placed.Raw)
		}
		_, reserved, available, err := p.admin.Stock(ctx, product)
		if err != nil || reserved != 2 || available != 10 {
			t.Errorf("reserved %d, available %d (%v), want 2 and 10", reserved, available, err)
		}
		paid, err := person.Pay(ctx, order, "pm_card_visa")
		if err != nil || paid.Status != http.StatusOK {
			t.Fatalf("pay: %v %s", err, paid.Raw)
		}
		if _, err := person.WaitOrder(ctx, order, "CONFIRMED"); err != nil {
			t.Fatal(err)
		}
		t.Run("history", func(t *testing.T) { checkHistory(t, person, order) })
		t.Run("invoice", func(t *testing.T) { checkInvoice(t, person, order) })
		t.Run("mail", func(t *testing.T) {
			err := shop.Eventually(ctx, 20*time.Second, func() (bool, error) {
				subjects, err := p.guest.Subjects(ctx, email)
				return slices.ContainsFunc(subjects, func(s string) bool { return strings.Contains(s, "confirmed") }), err
			})
			if err != nil {
				t.Errorf("no confirmation mail: %v", err)
			}
		})
		onHand, reserved, _, err := p.admin.Stock(ctx, product)
		if err != nil || onHand != 10 || reserved != 0 {
			t.Errorf("on hand %d, reserved %d (%v) after the sale, want 10 and 0", onHand, reserved, err)
		}
	})
}

func checkHistory(t *testing.T, person *shop.Person, order string) {
	t.Helper()
	want := []string{"PLACED", "PAYMENT_STARTED", "CONFIRMED", "INVOICED", "MAIL_SENT"}
	var types []string
	err := shop.Eventually(t.Context(), 20*time.Second, func() (bool, error) {
		answer, err := person.Must(t.Context(), http.MethodGet, "/api/v1/orders/"+order+"/events", nil)
		if err != nil {
			return false, err
		}
		types = nil
		for i := range answer.Len("events") {
			types = append(types, answer.String("events", i, "type"))
		}
		for _, step := range want {
			if !slices.Contains(types, step) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		t.Errorf("history is %v, want all of %v", types, want)
	}
}

func checkInvoice(t *testing.T, person *shop.Person, order string) {
	t.Helper()
	var invoices *shop.Answer
	err := shop.Eventually(t.Context(), 20*time.Second, func() (bool, error) {
		var err error
		invoices, err = person.Must(t.Context(), http.MethodGet, "/api/v1/billing/invoices"+shop.Query("orderId", order), nil)
		return err == nil && invoices.Len("invoices") == 1, err
	})
	if err != nil {
		t.Fatalf("no invoice: %v", err)
	}
	pdf, err := person.Must(t.Context(), http.MethodGet, "/api/v1/billing/invoices/"+invoices.String("invoices", 0, "id")+"/pdf", nil)
	if err != nil || !strings.HasPrefix(string(pdf.Raw), "%PDF-") || pdf.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("the invoice is no PDF: %v", err)
	}
}
