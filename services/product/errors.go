package product

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Failures that callers may branch on with errors.Is, also across the network.
var (
	// ErrOutOfStock tells that fewer pieces are available than wanted; metadata names productId and available.
	ErrOutOfStock = fault.New(fault.KindConflict, "OUT_OF_STOCK", "not enough pieces are in stock")
	// ErrReservationExpired tells that the reservation ended before it was sold.
	ErrReservationExpired = fault.New(fault.KindConflict, "RESERVATION_EXPIRED", "the reservation has ended")
	// ErrReservationMismatch tells that the order holds a reservation of other pieces.
	ErrReservationMismatch = fault.New(fault.KindConflict, "RESERVATION_MISMATCH", "the order has a reservation of other items")
	// ErrAlreadyExists tells that a slug or a SKU is taken; the field says which.
	ErrAlreadyExists = fault.New(fault.KindConflict, "ALREADY_EXISTS", "the value is taken by another one")
	// ErrStockReserved tells that pieces held for orders cannot be taken away.
	ErrStockReserved = fault.New(fault.KindConflict, "STOCK_RESERVED", "the pieces are reserved for orders")
	// ErrCategoryCycle tells that a category would become its own ancestor.
	ErrCategoryCycle = fault.New(fault.KindConflict, "CATEGORY_CYCLE", "a category cannot be its own ancestor")
	// ErrCategoryNotEmpty tells that a category still has children.
	ErrCategoryNotEmpty = fault.New(fault.KindConflict, "CATEGORY_NOT_EMPTY", "the category has child categories")
	// ErrBusy tells that the same call runs elsewhere at this moment.
	ErrBusy = fault.New(fault.KindUnavailable, fault.ReasonUnavailable, "the same reservation is being made, try again")
)

var errStale = fault.Stale("the resource was changed in the meantime; read it again")

// NotFoundProduct reports a product that does not exist or that the caller may not see.
func NotFoundProduct(id string) error { return fault.NotFound("product", id) }

// NotFoundImage reports an image that the product does not have.
func NotFoundImage(id string) error { return fault.NotFound("image", id) }

// NotFoundCategory reports a category that does not exist.
func NotFoundCategory(id string) error { return fault.NotFound("category", id) }

// Taken reports a slug or SKU that belongs to another row.
func Taken(field, value string) error {
	return ErrAlreadyExists.WithMessage("the %s is taken", field).WithField(field, value)
}

// Shortage reports the line that asks for more pieces than there are.
func Shortage(lines []Line, id uuid.UUID, wanted, available int32) error {
	return ErrOutOfStock.
		WithMessage("only %d of %d pieces are in stock", available, wanted).
		WithField(fmt.Sprintf("items[%d].quantity", lineOf(lines, id)), strconv.Itoa(int(wanted))).
		WithMetadata("productId", id.String()).
		WithMetadata("available", strconv.Itoa(int(available)))
}

// Unsellable reports the line whose product does not exist or is not on sale.
func Unsellable(lines []Line, id uuid.UUID) error {
	return fault.NotFound("product", id.String()).
		WithField(fmt.Sprintf("items[%d].productId", lineOf(lines, id)), id.String())
}

func lineOf(lines []Line, id uuid.UUID) int {
	for i, line := range lines {
		if line.ProductID == id {
			return i
		}
	}
	return 0
}
