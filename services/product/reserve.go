package product

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// MaxHold bounds how long a reservation may keep pieces from other buyers.
const MaxHold = 7 * 24 * time.Hour

const (
	reserveAttempts = 3
	expireBatch     = 200
)

// ReservationState is the state of a reservation, see the package comment.
type ReservationState string

// The states of a reservation.
const (
	// ReservationActive holds pieces.
	ReservationActive ReservationState = "ACTIVE"
	// ReservationCommitted sold its pieces.
	ReservationCommitted ReservationState = "COMMITTED"
	// ReservationReleased gave its pieces back on request.
	ReservationReleased ReservationState = "RELEASED"
	// ReservationExpired gave its pieces back because its time was over.
	ReservationExpired ReservationState = "EXPIRED"
	// ReservationMissing tells that the order has none.
	ReservationMissing ReservationState = "MISSING"
)

// ReserveResult is what the store found for a line or for the whole call.
type ReserveResult string

// The results of reserving.
const (
	// ReserveDone holds the line, also when the same call came before.
	ReserveDone ReserveResult = "RESERVED"
	// ReserveShort has too few pieces.
	ReserveShort ReserveResult = "SHORT"
	// ReserveMissing has no such product on sale.
	ReserveMissing ReserveResult = "MISSING"
	// ReserveConflict tells that the order holds a reservation of other lines.
	ReserveConflict ReserveResult = "CONFLICT"
	// ReserveEnded tells that the order was sold and its goods came back.
	ReserveEnded ReserveResult = "ENDED"
	// ReserveRetry tells that a twin of the call is in the way.
	ReserveRetry ReserveResult = "RETRY"
)

// ReserveOutcome is one row of the store's answer.
type ReserveOutcome struct {
	// Result of this row.
	Result ReserveResult
	// Sold is the product as it is sold; only the id unless the result is ReserveDone or ReserveShort.
	Sold Sold
	// Available pieces when the result is ReserveShort.
	Available int32
	// ExpireTime of the reservation.
	ExpireTime time.Time
}

// ReserveInput asks for pieces for an order.
type ReserveInput struct {
	// OrderID is the reservation's key.
	OrderID uuid.UUID
	// Lines wanted; lines of the same product are summed.
	Lines []Line
	// ExpireTime is when the reservation ends by itself.
	ExpireTime time.Time
}

// Reserve reserves all lines or none and returns one entry for each product, in
// id order, and the expiry. The same order and lines again give the same answer.
//
// It fails with ErrOutOfStock, ErrReservationMismatch, ErrReservationExpired
// (the sale was undone) or NotFound naming the line.
func (s *Service) Reserve(ctx context.Context, input ReserveInput) ([]Sold, time.Time, error) {
	if len(input.Lines) == 0 {
		return nil, time.Time{}, fault.Invalid("items", "an order has at least one item")
	}
	demand, err := sumDemand(input.Lines)
	if err != nil {
		return nil, time.Time{}, err
	}
	now := s.time()
	expire := input.ExpireTime.UTC().Truncate(time.Microsecond)
	if !expire.After(now) || expire.After(now.Add(MaxHold)) {
		return nil, time.Time{}, fault.Invalid("expireTime", "a reservation ends in the future and within %s", MaxHold)
	}
	for range reserveAttempts {
		outcomes, err := s.store.Reserve(ctx, input.OrderID, demand, expire, now)
		if err != nil {
			return nil, time.Time{}, err
		}
		sold, err := judge(input.Lines, outcomes)
		if err == nil {
			return sold, outcomes[0].ExpireTime, nil
		}
		if err != errTwin { //nolint:errorlint // a private sentinel that nothing wraps
			return nil, time.Time{}, err
		}
	}
	return nil, time.Time{}, ErrBusy.WithRetryAfter(time.Second)
}

var errTwin = fault.New(fault.KindUnavailable, "TWIN", "")

// judge turns the outcomes into the sold lines or the failure that matters most.
func judge(lines []Line, outcomes []ReserveOutcome) ([]Sold, error) {
	var sold []Sold
	var first error
	for _, o := range outcomes {
		var err error
		switch o.Result {
		case ReserveDone:
			sold = append(sold, o.Sold)
			continue
		case ReserveRetry:
			// It says that a shortage seen before it was made by this very order.
			return nil, errTwin
		case ReserveConflict:
			err = ErrReservationMismatch
		case ReserveEnded:
			err = ErrReservationExpired
		case ReserveMissing:
			err = Unsellable(lines, o.Sold.ProductID)
		case ReserveShort:
			err = Shortage(lines, o.Sold.ProductID, o.Sold.Quantity, o.Available)
		}
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return nil, first
	}
	if len(sold) == 0 {
		return nil, errTwin
	}
	return sold, nil
}

// Extend moves the expiry of a live reservation later, never earlier, and returns it.
func (s *Service) Extend(ctx context.Context, order uuid.UUID, expire time.Time) (time.Time, error) {
	if expire.After(s.time().Add(MaxHold)) {
		return time.Time{}, fault.Invalid("expireTime", "a reservation ends within %s", MaxHold)
	}
	state, expire, err := s.store.Extend(ctx, order, expire.UTC().Truncate(time.Microsecond))
	if err != nil {
		return time.Time{}, err
	}
	// What is sold needs no time any more, so a repeated call after the commit is no failure.
	if err := ended(order, state, ReservationActive, ReservationCommitted); err != nil {
		return time.Time{}, err
	}
	return expire, nil
}

// Commit turns a live reservation into a sale. It fails with
// ErrReservationExpired when the pieces went back before.
func (s *Service) Commit(ctx context.Context, order uuid.UUID) error {
	state, err := s.store.Commit(ctx, order, s.time())
	if err != nil {
		return err
	}
	return ended(order, state, ReservationCommitted)
}

func ended(order uuid.UUID, state ReservationState, good ...ReservationState) error {
	if slices.Contains(good, state) {
		return nil
	}
	if state == ReservationMissing {
		return fault.NotFound("reservation", order.String())
	}
	return ErrReservationExpired.WithMetadata("state", string(state))
}

// Release gives reserved pieces back to the available ones and sold pieces back
// to the warehouse. An order that holds nothing, or nothing any more, is as it
// should be: a saga that undoes a step need not know whether the step happened.
func (s *Service) Release(ctx context.Context, order uuid.UUID, reason string) error {
	if err := checkText("reason", reason, 300); err != nil {
		return err
	}
	_, err := s.store.Release(ctx, order, reason, s.time())
	return err
}

// Expire ends the reservations whose time is over and returns how many. Several may run at once.
func (s *Service) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := s.store.Expire(ctx, s.time(), expireBatch)
		total += n
		if err != nil || n < expireBatch {
			return total, err
		}
	}
}
