package billing

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Status of a payment.
type Status string

// The states of a payment.
const (
	StatusPending           Status = "PENDING"
	StatusAuthorized        Status = "AUTHORIZED"
	StatusSucceeded         Status = "SUCCEEDED"
	StatusFailed            Status = "FAILED"
	StatusUnknown           Status = "UNKNOWN"
	StatusRefunded          Status = "REFUNDED"
	StatusPartiallyRefunded Status = "PARTIALLY_REFUNDED"
)

// Open tells whether the outcome is still to come.
func (s Status) Open() bool {
	return s == StatusPending || s == StatusAuthorized || s == StatusUnknown
}

// Paid tells whether the money arrived for the order.
func (s Status) Paid() bool {
	return s == StatusSucceeded || s == StatusPartiallyRefunded || s == StatusRefunded
}

// Codes of failures that are ours and not the provider's.
const (
	// CodeSuperseded: the customer started another payment instead.
	CodeSuperseded = "superseded"
	// CodeAbandoned: the customer did not act in time.
	CodeAbandoned = "abandoned"
	// CodeCanceled: the intent was cancelled at the provider.
	CodeCanceled = "canceled"
	// CodeNotPayable: the order ended before the money could be asked for.
	CodeNotPayable = "order_not_payable"
	// CodeMismatch: what the provider holds is not what was asked for.
	CodeMismatch = "amount_mismatch"
)

// Payment is one attempt to collect what is owed for an order.
type Payment struct {
	ID, OrderID uuid.UUID
	OrderNumber string
	// UserID is uuid.Nil for guests and erased accounts.
	UserID uuid.UUID
	// GuestTokenHash is the hex SHA-256 of the guest's token, "" for users.
	GuestTokenHash string
	Email          string
	// Amount is what is collected; it never changes.
	Amount money.Money
	Status Status
	// PaymentMethod and CustomerID are the provider's ids, kept as they were sent.
	PaymentMethod, CustomerID string
	ReturnURL                 string
	// OffSession is true when the stored method of the customer is charged, which
	// may be tried again without the customer.
	OffSession bool
	// IntentID is the provider's, "" until it is known.
	IntentID string
	// ClientSecret lets the customer's browser act; only the owner sees it.
	ClientSecret string
	RedirectURL  string
	// Refunded went back; RefundReserved went back or is about to. Minor units.
	Refunded, RefundReserved    int64
	FailureCode, FailureMessage string
	// Attempts counts how often collection was tried, Polls how often the provider was asked.
	Attempts, Polls int
	// ExpireTime is until when the order waits.
	ExpireTime time.Time
	// NextPollTime is zero when nothing is open.
	NextPollTime time.Time
	// NextAttemptTime is zero when collection is not tried again.
	NextAttemptTime        time.Time
	CreateTime, UpdateTime time.Time
}

// Left is what can still be given back, in minor units.
func (p Payment) Left() int64 { return p.Amount.AmountMinor - p.RefundReserved }

// waitsForCustomer tells that only the customer can move the payment on.
func (p Payment) waitsForCustomer() bool {
	return p.Status == StatusPending && p.IntentID != "" && p.ClientSecret != ""
}

// IntentStatus is the state of an intent at the provider.
type IntentStatus string

// The states of an intent.
const (
	IntentNeedsMethod  IntentStatus = "requires_payment_method"
	IntentNeedsConfirm IntentStatus = "requires_confirmation"
	IntentNeedsAction  IntentStatus = "requires_action"
	IntentProcessing   IntentStatus = "processing"
	IntentAuthorized   IntentStatus = "requires_capture"
	IntentSucceeded    IntentStatus = "succeeded"
	IntentCanceled     IntentStatus = "canceled"
)

// Intent is what the provider says of a payment.
type Intent struct {
	ID     string
	Status IntentStatus
	// Amount is what it is for, Received what arrived.
	Amount, Received money.Money
	// PaymentID and OrderID come from the metadata; uuid.Nil when they are not ours.
	PaymentID, OrderID uuid.UUID
	ClientSecret       string
	RedirectURL        string
	// FailureCode and FailureMessage tell of the last refusal, DeclineCode the bank's reason.
	FailureCode, DeclineCode, FailureMessage string
}

// binds tells whether the intent is for this payment and nothing else: a cheap
// payment must not settle a dear order.
func (i Intent) binds(p Payment) bool {
	if i.PaymentID != p.ID || i.OrderID != p.OrderID || i.Amount != p.Amount {
		return false
	}
	return i.Status != IntentSucceeded || i.Received == p.Amount
}

// change is what an intent does to a payment.
type change uint8

const (
	changeNothing change = iota
	// changeWaiting: still open, something about it changed.
	changeWaiting
	// changeSucceeded: the money is there.
	changeSucceeded
	// changeFailed: refused for good.
	changeFailed
	// changeRetry: refused, and tried again later.
	changeRetry
	// changeMismatch: money arrived that is not what was asked for.
	changeMismatch
)

// temporary are the refusals that another day may overcome.
var temporary = []string{
	"insufficient_funds", "processing_error", "try_again_later", "issuer_not_available", "reenter_transaction",
	"card_velocity_exceeded", "withdrawal_count_limit_exceeded", "generic_decline", "do_not_honor",
}

// transition is the state machine: what the payment becomes when the provider
// says the intent. It is a function of its arguments, so late, doubled and
// reordered news give the same result. retries are the pauses before further
// collections without the customer.
func transition(p Payment, i Intent, now time.Time, retries []time.Duration) (Payment, change) {
	if p.IntentID != "" && p.IntentID != i.ID {
		return p, changeNothing
	}
	switch {
	case p.Status.Paid(), p.RefundReserved > 0:
		return p, changeNothing
	case i.Status == IntentSucceeded:
		return succeeded(p, i)
	case !p.Status.Open():
		return p, changeNothing
	}
	before := p
	p.IntentID = i.ID
	switch i.Status {
	case IntentNeedsMethod:
		if i.FailureCode == "" {
			p.Status = StatusPending
			break
		}
		return refused(p, i, now, retries)
	case IntentCanceled:
		return fail(p, CodeCanceled, "The payment was cancelled."), changeFailed
	case IntentNeedsAction:
		p.Status, p.ClientSecret, p.RedirectURL = StatusPending, i.ClientSecret, i.RedirectURL
	case IntentAuthorized:
		p.Status = StatusAuthorized
	default:
		p.Status, p.ClientSecret, p.RedirectURL = StatusPending, "", ""
	}
	if p == before {
		return p, changeNothing
	}
	return p, changeWaiting
}

func succeeded(p Payment, i Intent) (Payment, change) {
	p.IntentID = i.ID
	p.ClientSecret, p.RedirectURL, p.NextAttemptTime = "", "", time.Time{}
	if !i.binds(p) {
		return fail(p, CodeMismatch, "The amount received is not the amount owed; it goes back."), changeMismatch
	}
	p.Status, p.FailureCode, p.FailureMessage = StatusSucceeded, "", ""
	return p, changeSucceeded
}

// refused is a bank's no. It is heard once per attempt, however often it is told.
func refused(p Payment, i Intent, now time.Time, retries []time.Duration) (Payment, change) {
	if !p.NextAttemptTime.IsZero() {
		return p, changeNothing
	}
	reason := i.DeclineCode
	if reason == "" {
		reason = i.FailureCode
	}
	if p.OffSession && p.Attempts > 0 && p.Attempts <= len(retries) && slices.Contains(temporary, reason) {
		p.Status, p.FailureCode, p.FailureMessage = StatusPending, i.FailureCode, i.FailureMessage
		p.ClientSecret, p.RedirectURL = "", ""
		p.NextAttemptTime = now.Add(retries[p.Attempts-1])
		return p, changeRetry
	}
	return fail(p, i.FailureCode, i.FailureMessage), changeFailed
}

func fail(p Payment, code, message string) Payment {
	p.Status, p.FailureCode, p.FailureMessage = StatusFailed, code, message
	p.ClientSecret, p.RedirectURL, p.NextAttemptTime = "", "", time.Time{}
	return p
}
