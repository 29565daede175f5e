package billing

import (
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// RefundStatus is the state of a refund.
type RefundStatus string

// The states of a refund.
const (
	RefundPending   RefundStatus = "PENDING"
	RefundSucceeded RefundStatus = "SUCCEEDED"
	RefundFailed    RefundStatus = "FAILED"
)

// Refund is money that goes back.
type Refund struct {
	ID, PaymentID, OrderID uuid.UUID
	Amount                 money.Money
	Reason                 string
	// Whole gives back all the provider holds, whatever Amount says.
	Whole  bool
	Status RefundStatus
	// ProviderID is the provider's id, "" until it is known.
	ProviderID     string
	FailureMessage string
	Polls          int
	// NextPollTime is zero when nothing is open.
	NextPollTime           time.Time
	CreateTime, UpdateTime time.Time
}

// ProviderRefund is what the provider says of a refund.
type ProviderRefund struct {
	ID, IntentID string
	// RefundID comes from the metadata; uuid.Nil for refunds made at the provider's dashboard.
	RefundID       uuid.UUID
	Amount         money.Money
	Status         RefundStatus
	FailureMessage string
}

// RefundOrder is the decision to give back whatever was or will be paid for an order.
type RefundOrder struct {
	OrderID      uuid.UUID
	Reason       string
	NextPollTime time.Time
	CreateTime   time.Time
}
