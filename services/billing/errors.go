package billing

import "github.com/commercestack/commercestack/internal/fault"

// What billing refuses.
var (
	// ErrInProgress tells that another payment of the order is on its way.
	ErrInProgress = fault.New(fault.KindConflict, "PAYMENT_IN_PROGRESS", "another payment of this order is in progress")
	// ErrAlreadyPaid tells that nothing is owed.
	ErrAlreadyPaid = fault.New(fault.KindConflict, "ORDER_ALREADY_PAID", "the order is already paid")
	// ErrNotPayable tells that the order ended, so no money may be collected.
	ErrNotPayable = fault.New(fault.KindConflict, "ORDER_NOT_PAYABLE", "the order can no longer be paid")
	// ErrNotRefundable tells that the payment holds no money to give back.
	ErrNotRefundable = fault.New(fault.KindConflict, "PAYMENT_NOT_REFUNDABLE", "the payment holds no money that could go back")
	// ErrRefundTooLarge tells that less is left than was asked for.
	ErrRefundTooLarge = fault.New(fault.KindConflict, "REFUND_EXCEEDS_PAYMENT", "the refund is more than what is left of the payment")
)

// Outage says what is known of a call to the provider that brought no answer.
type Outage uint8

// What is known after a failed call.
const (
	// Lost: the call may have had its effect.
	Lost Outage = iota
	// Refused: the call had no effect and may be repeated.
	Refused
	// Rejected: the provider will never accept the call.
	Rejected
	// Missing: the provider does not know the thing.
	Missing
)

// ProviderError is a call to the provider without a result.
type ProviderError struct {
	// Outage says what is known of the call's effect.
	Outage Outage
	// Code and Message are the provider's and hold no secret.
	Code, Message string
}

// Error implements error.
func (e *ProviderError) Error() string {
	kinds := [...]string{"answer lost", "refused for now", "rejected", "not found"}
	text := "payment provider: " + kinds[e.Outage]
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}
