package stripesim

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// newCharge is an attempt that succeeds, for now or on capture.
func (w *work) newCharge(pi *paymentIntent, pm *paymentMethod) *charge {
	captured := pi.CaptureMethod != "manual"
	ch := &charge{
		ID: newID("ch"), Object: "charge", Amount: pi.Amount, Created: w.now.Unix(), Currency: pi.Currency,
		BillingDetails: pm.BillingDetails, StatementDescriptor: "COMMERCE", Captured: captured,
		Customer: pi.Customer, Description: pi.Description, FraudDetails: map[string]string{},
		Metadata: pi.Metadata, Paid: true, PaymentIntent: pi.ID, PaymentMethod: pm.ID,
		PaymentMethodDetails: methodDetails(pm, pi.Amount), ReceiptEmail: pi.ReceiptEmail,
		Shipping: pi.Shipping,
		Status:   statusSucceeded, TransferGroup: pi.TransferGroup,
		Outcome: chargeOutcome{
			NetworkStatus: "approved_by_network", RiskLevel: "normal", RiskScore: 20,
			SellerMessage: "Payment complete.", Type: "authorized",
		},
		Sim: &chargeSim{Behaviour: pm.Sim.Behaviour},
	}
	if captured {
		ch.AmountCaptured, ch.BalanceTransaction = pi.Amount, ptr(newID("txn"))
	}
	return ch
}

// failedCharge is an attempt that the bank or the fraud rules refused.
func (w *work) failedCharge(pi *paymentIntent, pm *paymentMethod, no *decline) *charge {
	ch := w.newCharge(pi, pm)
	ch.Status, ch.Paid, ch.Captured, ch.AmountCaptured = "failed", false, false, 0
	ch.BalanceTransaction = nil
	ch.FailureCode, ch.FailureMessage = &no.code, &no.message
	ch.Outcome = chargeOutcome{
		NetworkStatus: "declined_by_network", Reason: ptr(orElse(no.declineCode, no.code)),
		RiskLevel: "normal", RiskScore: 20, SellerMessage: "The bank did not return any further details with this decline.", Type: "issuer_declined",
	}
	if no.blocked {
		ch.Outcome = chargeOutcome{
			NetworkStatus: "not_sent_to_network", Reason: ptr("highest_risk_level"),
			RiskLevel: "highest", RiskScore: 90, SellerMessage: "Stripe blocked this payment as too risky.", Type: "blocked",
		}
	}
	return ch
}

func methodDetails(pm *paymentMethod, amount int64) map[string]any {
	if pm.Card == nil {
		return map[string]any{"type": pm.Type, pm.Type: pm.USBankAccount}
	}
	return map[string]any{"type": "card", "card": map[string]any{
		"amount_authorized": amount, "brand": pm.Card.Brand, "checks": pm.Card.Checks, "country": pm.Card.Country,
		"exp_month": pm.Card.ExpMonth, "exp_year": pm.Card.ExpYear, "fingerprint": pm.Card.Fingerprint,
		"funding": pm.Card.Funding, "installments": nil, "last4": pm.Card.Last4, "mandate": nil,
		"network": pm.Card.Brand, "three_d_secure": nil, "wallet": nil,
	}}
}

func listCharges(c *call) (execute, *apiError) {
	filter := listFilter{kind: kindCharge, url: "/v1/charges"}
	filter.match("customer", c.form.text("customer"))
	filter.match("payment_intent", c.form.text("payment_intent"))
	return filter.list(c)
}

// retrieveBalanceTransaction derives the movement from the charge or refund
// that caused it: there is nothing else to know about it.
func retrieveBalanceTransaction(c *call) (execute, *apiError) {
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		txn, err := balanceTransaction(ctx, tx, c.id())
		if errors.Is(err, errNotFound) {
			return nil, missing(http.StatusNotFound, "balance transaction", c.id(), "id")
		}
		return txn, err
	}, nil
}

func balanceTransaction(ctx context.Context, tx pgx.Tx, id string) (map[string]any, error) {
	ch, err := findBy[charge](ctx, tx, kindCharge, "balance_transaction", id)
	if err == nil {
		return movement(id, "charge", ch.ID, ch.AmountCaptured, processingFee(ch.AmountCaptured, ch.Currency), ch.Currency, ch.Created), nil
	}
	if !errors.Is(err, errNotFound) {
		return nil, err
	}
	re, err := findBy[refund](ctx, tx, kindRefund, "balance_transaction", id)
	if err != nil {
		return nil, err
	}
	return movement(id, "refund", re.ID, -re.Amount, 0, re.Currency, re.Created), nil
}

func movement(id, sort, source string, amount, fee int64, currency string, created int64) map[string]any {
	const settlement = 2 * 24 * time.Hour
	details := []map[string]any{}
	if fee > 0 {
		details = append(details, map[string]any{
			"amount": fee, "application": nil, "currency": currency,
			"description": "Stripe processing fees", "type": "stripe_fee",
		})
	}
	return map[string]any{
		"id": id, "object": "balance_transaction", "amount": amount, "available_on": created + int64(settlement.Seconds()),
		"created": created, "currency": currency, "description": nil, "exchange_rate": nil, "fee": fee,
		"fee_details": details, "net": amount - fee, "reporting_category": sort, "source": source,
		"status": "pending", "type": sort,
	}
}
