package order

import "slices"

// Status is where an order stands.
type Status string

// The states of an order.
const (
	// StatusPending waits for its payment; its stock is reserved.
	StatusPending Status = "PENDING"
	// StatusConfirmed is paid; its stock is sold.
	StatusConfirmed Status = "CONFIRMED"
	// StatusFulfilled is with the carrier.
	StatusFulfilled Status = "FULFILLED"
	// StatusCompleted is delivered.
	StatusCompleted Status = "COMPLETED"
	// StatusCancelled was called off; what was paid goes back.
	StatusCancelled Status = "CANCELLED"
	// StatusExpired was not paid in time.
	StatusExpired Status = "EXPIRED"
)

// Statuses are all states, in the order of an order's life.
func Statuses() []Status {
	return []Status{StatusPending, StatusConfirmed, StatusFulfilled, StatusCompleted, StatusCancelled, StatusExpired}
}

func (s Status) next() []Status {
	switch s {
	case StatusPending:
		return []Status{StatusConfirmed, StatusCancelled, StatusExpired}
	case StatusConfirmed:
		return []Status{StatusFulfilled, StatusCancelled}
	case StatusFulfilled:
		return []Status{StatusCompleted}
	case StatusCompleted, StatusCancelled, StatusExpired:
		return nil
	default:
		return nil
	}
}

// CanBecome tells whether an order may move from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(s.next(), next) }

// Final tells whether an order never leaves s.
func (s Status) Final() bool { return len(s.next()) == 0 }

// Paid tells whether the order's payment settled and was not called off.
func (s Status) Paid() bool {
	return s == StatusConfirmed || s == StatusFulfilled || s == StatusCompleted
}

// Undone tells whether the order ended without being carried out: its goods,
// its money and its coupon go back.
func (s Status) Undone() bool { return s == StatusCancelled || s == StatusExpired }
