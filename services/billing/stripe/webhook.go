package stripe

import (
	"encoding/json"
	"strings"

	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/billing"
)

// HeaderSignature is the header that signs a webhook.
const HeaderSignature = "Stripe-Signature"

// Verify reads a webhook that one of the secrets signed within the last five
// minutes. It fails with an INVALID_INPUT fault that says nothing about why.
func (c *Client) Verify(payload []byte, signature string) (billing.Notice, error) {
	valid := false
	for _, secret := range c.config.WebhookSecrets {
		if webhook.ValidatePayloadWithTolerance(payload, signature, secret, webhook.DefaultTolerance) == nil {
			valid = true
			break
		}
	}
	if !valid {
		return billing.Notice{}, fault.Invalid(HeaderSignature, "is not a valid signature of the event")
	}
	return parseEvent(payload)
}

// maxID bounds what is stored of an event.
const maxID = 100

// parseEvent reads where an event says to look.
func parseEvent(payload []byte) (billing.Notice, error) {
	var event struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			Object struct {
				ID            string          `json:"id"`
				Object        string          `json:"object"`
				PaymentIntent json.RawMessage `json:"payment_intent"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(payload, &event); err != nil || event.ID == "" || len(event.ID) > maxID || len(event.Type) > maxID {
		return billing.Notice{}, fault.Invalid("event", "is not an event of Stripe")
	}
	notice := billing.Notice{EventID: event.ID, Type: event.Type}
	switch {
	case strings.HasPrefix(event.Type, "payment_intent."):
		notice.IntentID = event.Data.Object.ID
	case strings.HasPrefix(event.Type, "charge."), strings.HasPrefix(event.Type, "refund."):
		// It is a plain id, null, or an expanded object, which Stripe does not send in events.
		_ = json.Unmarshal(event.Data.Object.PaymentIntent, &notice.IntentID)
	}
	if len(notice.IntentID) > maxID {
		notice.IntentID = ""
	}
	return notice, nil
}
