package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/services/order"
)

// BenchmarkPlace places orders of one line with 8 workers; compare it with
// BenchmarkBare, a transaction of two statements on the same server.
func BenchmarkPlace(b *testing.B) {
	s := newShop(b)
	items := []order.Item{{ProductID: s.stock.product(1000, 1<<30), Quantity: 1}}
	caller := user()
	b.SetParallelism(4) // on two processors: 8 workers
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Place(context.Background(), order.PlaceInput{ID: newID(), Caller: caller, Items: items}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkBare changes one row and writes another, as little as an order could be.
func BenchmarkBare(b *testing.B) {
	s := newShop(b)
	pool, ctx := s.db.Pool(), context.Background()
	const insert = `INSERT INTO carts (id, guest_token_hash, create_time, update_time) VALUES ($1, 'h', now(), now())`
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		row := newID()
		if _, err := pool.Exec(ctx, insert, row); err != nil {
			b.Error(err)
			return
		}
		for pb.Next() {
			err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `UPDATE carts SET version = version + 1 WHERE id = $1 AND version < 1000000`, row); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, insert, newID())
				return err
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
