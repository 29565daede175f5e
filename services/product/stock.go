package product

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// Stock is how many pieces of a product there are.
type Stock struct {
	// OnHand pieces are in the warehouse.
	OnHand int32
	// Reserved pieces are held for orders that are not paid.
	Reserved int32
}

// Available is how many pieces can be ordered now.
func (s Stock) Available() int32 { return s.OnHand - s.Reserved }

// EntryKind is the kind of a ledger row.
type EntryKind string

// The kinds of ledger rows.
const (
	// EntryAdjusted changes what is on hand, by a person or an import.
	EntryAdjusted EntryKind = "ADJUSTED"
	// EntryReserved holds pieces for an order.
	EntryReserved EntryKind = "RESERVED"
	// EntryReleased gives held pieces back.
	EntryReleased EntryKind = "RELEASED"
	// EntryExpired gives held pieces back because nobody paid in time.
	EntryExpired EntryKind = "EXPIRED"
	// EntryAllocated takes sold pieces out of the warehouse.
	EntryAllocated EntryKind = "ALLOCATED"
	// EntryReturned puts sold pieces back.
	EntryReturned EntryKind = "RETURNED"
)

// Entry is an immutable row of the stock ledger.
type Entry struct {
	// ID is a UUIDv7.
	ID, ProductID uuid.UUID
	// Kind says what happened.
	Kind EntryKind
	// OnHandDelta and ReservedDelta are signed changes.
	OnHandDelta, ReservedDelta int32
	// Reason as given by the person or the order.
	Reason string
	// OrderID is the zero UUID when no order was involved.
	OrderID uuid.UUID
	// CreateTime of the row.
	CreateTime time.Time
}

// Line asks for pieces of one product.
type Line struct {
	// ProductID of the wanted product.
	ProductID uuid.UUID
	// Quantity of pieces, at least 1.
	Quantity int32
}

// Sold is what an order copies of a product when it reserves it.
type Sold struct {
	// ProductID of the product.
	ProductID uuid.UUID
	// SKU and Name at the time of the reservation.
	SKU, Name string
	// UnitPrice at the time of the reservation.
	UnitPrice money.Money
	// TaxClass at the time of the reservation.
	TaxClass string
	// WeightGrams of one piece.
	WeightGrams int32
	// Quantity of pieces reserved, summed over the lines of the product.
	Quantity int32
}

// sumDemand adds up the lines of each product and sorts by id: two lines that
// share a product would each pass the check alone.
func sumDemand(lines []Line) ([]Line, error) {
	sums := make(map[uuid.UUID]int64, len(lines))
	for i, line := range lines {
		if line.Quantity < 1 {
			return nil, fault.Invalid(fmt.Sprintf("items[%d].quantity", i), "at least one piece is needed").
				WithField(fmt.Sprintf("items[%d].quantity", i), strconv.Itoa(int(line.Quantity)))
		}
		sums[line.ProductID] += int64(line.Quantity)
		if sums[line.ProductID] > math.MaxInt32 {
			return nil, fault.Invalid(fmt.Sprintf("items[%d].quantity", i), "the quantities of the product add up to too many pieces")
		}
	}
	demand := make([]Line, 0, len(sums))
	for id, quantity := range sums {
		demand = append(demand, Line{ProductID: id, Quantity: int32(quantity)})
	}
	slices.SortFunc(demand, func(a, b Line) int { return compareIDs(a.ProductID, b.ProductID) })
	return demand, nil
}
