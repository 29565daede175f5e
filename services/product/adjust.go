package product

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Adjustment is a change of the quantity on hand.
type Adjustment struct {
	// ID of the ledger row; the same id again changes nothing.
	ID uuid.UUID
	// ProductID of the product.
	ProductID uuid.UUID
	// Delta is the signed change, not 0.
	Delta int32
	// Reason for the ledger.
	Reason string
	// Time of the change.
	Time time.Time
}

// AdjustStock changes the quantity on hand by a ledger row. What is reserved
// for orders cannot be taken away.
func (s *Service) AdjustStock(ctx context.Context, adjustment Adjustment) (Stock, error) {
	adjustment.Reason = strings.TrimSpace(adjustment.Reason)
	if adjustment.Delta == 0 {
		return Stock{}, fault.Invalid("delta", "a change of nought changes nothing").WithField("delta", "0")
	}
	if adjustment.Reason == "" {
		return Stock{}, fault.Invalid("reason", "a reason is required")
	}
	if err := checkText("reason", adjustment.Reason, 300); err != nil {
		return Stock{}, err
	}
	adjustment.Time = s.time()
	var stock Stock
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		stock, err = tx.AdjustStock(ctx, adjustment)
		return err
	})
	return stock, err
}

// TooLow reports an adjustment that would take away reserved pieces.
func TooLow(adjustment Adjustment, stock Stock) error {
	return ErrStockReserved.
		WithMessage("%d pieces are on hand and %d of them reserved", stock.OnHand, stock.Reserved).
		WithField("delta", strconv.Itoa(int(adjustment.Delta)))
}

// TooHigh reports an adjustment beyond what a stock may hold.
func TooHigh(adjustment Adjustment) error {
	return fault.Invalid("delta", "a stock is between 0 and %d pieces", maxOnHand).
		WithField("delta", strconv.Itoa(int(adjustment.Delta)))
}

// Entries returns a page of a product's ledger, newest first, and the id the
// next page starts after, zero on the last page.
func (s *Service) Entries(ctx context.Context, productID, before uuid.UUID, pageSize int) ([]Entry, uuid.UUID, error) {
	if pageSize <= 0 {
		pageSize = DefaultPageSize
	}
	pageSize = min(pageSize, MaxPageSize)
	if before == uuid.Nil {
		if _, err := s.store.ProductByID(ctx, productID); err != nil {
			return nil, uuid.Nil, err
		}
	}
	entries, err := s.store.Entries(ctx, productID, before, pageSize+1)
	if err != nil || len(entries) <= pageSize {
		return entries, uuid.Nil, err
	}
	entries = entries[:pageSize]
	return entries, entries[pageSize-1].ID, nil
}
