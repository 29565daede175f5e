package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"

	"github.com/commercestack/commercestack/test/shop"
)

var stockCases = []Case{
	{
		Trap: 1, Name: "sixty-four-buyers-ten-pieces", Needs: Needs{Admin: true}, Run: lastPieces,
		Rule: "Of 64 buyers at once, over REST and Connect, exactly as many get the goods as there are pieces.",
	},
	{
		Trap: 1, Name: "lines-in-any-order-do-not-deadlock", Needs: Needs{Admin: true}, Run: anyOrder,
		Rule: "Orders that name the same products in different orders all succeed.",
	},
	{
		Trap: 2, Name: "two-lines-of-one-product-are-summed", Needs: Needs{Admin: true}, Run: twoLines,
		Rule: "Demand is summed for each product before it is held against the stock.",
	},
	{
		Trap: 3, Name: "stock-is-never-below-what-is-promised", Needs: Needs{Admin: true}, Run: adjustAgainstOrders,
		Rule: "A correction of the stock cannot take away pieces that are reserved, and the ledger adds up to the stock.",
	},
	{
		Trap: 3, Name: "a-cancelled-order-returns-its-pieces-once", Needs: Needs{Admin: true}, Run: cancelOften,
		Rule: "Cancelling many times at once returns the pieces once.",
	},
}

func lastPieces(ctx context.Context, s *Session) error {
	const pieces, buyers = 10, 64
	product, err := s.product(ctx, "last pieces", 1999, pieces)
	if err != nil {
		return err
	}
	var sold atomic.Int64
	err = together(buyers, func(i int) error {
		place := placeREST
		if i%2 == 1 {
			place = placeConnect
		}
		got, err := place(ctx, s.Guest, items(line{product, 1}))
		if got {
			sold.Add(1)
		}
		return err
	})
	if err != nil {
		return err
	}
	if sold.Load() != pieces {
		return fmt.Errorf("%d orders for %d pieces", sold.Load(), pieces)
	}
	return s.stock(ctx, product, pieces, pieces)
}

// placeREST tells whether the order was taken; a refusal for want of stock is no error.
func placeREST(ctx context.Context, who *shop.Shop, list []any) (bool, error) {
	answer, err := send(ctx, who, http.MethodPost, "/api/v1/orders", map[string]any{"items": list, "email": shop.NewEmail()})
	if err != nil || answer.Status == http.StatusOK {
		return err == nil, err
	}
	return false, refusal(answer, http.StatusConflict, "OUT_OF_STOCK")
}

// placeConnect is placeREST by the Connect protocol.
func placeConnect(ctx context.Context, who *shop.Shop, list []any) (bool, error) {
	answer, err := send(ctx, who.With("Connect-Protocol-Version", "1"), http.MethodPost, "/commerce.order.v1.OrderService/PlaceOrder",
		map[string]any{"items": list, "email": shop.NewEmail()})
	if err != nil || answer.Status == http.StatusOK {
		return err == nil, err
	}
	if answer.String("code") != "failed_precondition" {
		return false, fmt.Errorf("the Connect API answers status %d, want failed_precondition: %s", answer.Status, brief(answer))
	}
	return false, nil
}

func anyOrder(ctx context.Context, s *Session) error {
	const buyers, pieces = 48, 1000
	products := make([]string, 6)
	for i := range products {
		var err error
		if products[i], err = s.product(ctx, "any order", 500, pieces); err != nil {
			return err
		}
	}
	err := together(buyers, func(int) error {
		lines := make([]line, len(products))
		for at, product := range rand.Perm(len(products)) {
			lines[at] = line{products[product], 2}
		}
		_, err := s.buy(ctx, lines...)
		return err
	})
	if err != nil {
		return err
	}
	for _, product := range products {
		if err := s.stock(ctx, product, pieces, 2*buyers); err != nil {
			return err
		}
	}
	return nil
}

func twoLines(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "two lines", 700, 10)
	if err != nil {
		return err
	}
	got, err := placeREST(ctx, s.Guest, items(line{product, 6}, line{product, 6}))
	if err != nil {
		return err
	}
	if got {
		return fmt.Errorf("two lines of 6 were taken from a stock of 10")
	}
	if err := s.stock(ctx, product, 10, 0); err != nil {
		return err
	}
	var sold atomic.Int64
	err = together(12, func(int) error {
		got, err := placeREST(ctx, s.Guest, items(line{product, 1}, line{product, 2}))
		if got {
			sold.Add(1)
		}
		return err
	})
	if err != nil {
		return err
	}
	if sold.Load() != 3 {
		return fmt.Errorf("%d orders of 3 pieces from a stock of 10", sold.Load())
	}
	return s.stock(ctx, product, 10, 9)
}

func adjustAgainstOrders(ctx context.Context, s *Session) error {
	const pieces = 20
	product, err := s.product(ctx, "adjusted", 900, pieces)
	if err != nil {
		return err
	}
	var sold, removed atomic.Int64
	err = together(2*pieces, func(i int) error {
		if i%2 == 0 {
			got, err := placeREST(ctx, s.Guest, items(line{product, 1}))
			if got {
				sold.Add(1)
			}
			return err
		}
		answer, err := send(ctx, s.Admin, http.MethodPost, "/api/v1/products/"+product+":adjustStock", map[string]any{"delta": -1, "reason": "broken"})
		if err != nil {
			return err
		}
		if answer.Status == http.StatusOK {
			removed.Add(1)
			return nil
		}
		if answer.Status != http.StatusConflict && answer.Status != http.StatusBadRequest {
			return fmt.Errorf("adjustStock: status %d: %s", answer.Status, brief(answer))
		}
		return errorShape(answer)
	})
	if err != nil {
		return err
	}
	if sold.Load()+removed.Load() != pieces {
		return fmt.Errorf("%d sold and %d taken away of %d pieces", sold.Load(), removed.Load(), pieces)
	}
	if err := s.stock(ctx, product, pieces-removed.Load(), sold.Load()); err != nil {
		return err
	}
	return s.ledgerAddsUp(ctx, product)
}

// ledgerAddsUp compares the stock with the sum of its ledger.
func (s *Session) ledgerAddsUp(ctx context.Context, product string) error {
	var onHand, reserved int64
	token := ""
	for {
		page, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/products/"+product+"/stockEntries"+shop.Query("pageSize", "100", "pageToken", token), nil)
		if err != nil {
			return err
		}
		for i := range page.Len("entries") {
			onHand += page.Int("entries", i, "onHandDelta")
			reserved += page.Int("entries", i, "reservedDelta")
		}
		if token = page.String("nextPageToken"); token == "" {
			break
		}
	}
	return s.stock(ctx, product, onHand, reserved)
}

func cancelOften(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "cancelled", 900, 10)
	if err != nil {
		return err
	}
	b, err := s.buy(ctx, line{product, 4})
	if err != nil {
		return err
	}
	err = together(8, func(int) error {
		answer, err := b.cancel(ctx)
		if err != nil || answer.Status == http.StatusOK {
			return err
		}
		return refusal(answer, http.StatusConflict, "ORDER_NOT_CANCELLABLE")
	})
	if err != nil {
		return err
	}
	if err := s.stock(ctx, product, 10, 0); err != nil {
		return err
	}
	return s.ledgerAddsUp(ctx, product)
}
