package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/order"
	entcart "github.com/commercestack/commercestack/ent/order/cart"
	"github.com/commercestack/commercestack/ent/order/cartline"
	"github.com/commercestack/commercestack/ent/order/predicate"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
)

// touchCart is the first part of every change: it proves the owner, holds the
// cart's row, so that a cart is not changed while it is ordered or merged, and
// moves its version.
const touchCart = `WITH c AS (
	UPDATE carts SET update_time = $4, version = version + 1
	WHERE id = $1 AND status = 'OPEN' AND (user_id = $2 OR (user_id IS NULL AND guest_token_hash = $3))
	RETURNING id
) `

// OpenUserCart implements order.CartStore.
func (s *Store) OpenUserCart(ctx context.Context, id, userID uuid.UUID, now time.Time) (order.Cart, error) {
	if _, err := s.db.Pool().Exec(ctx, openUserCart, id, userID, now); err != nil {
		return order.Cart{}, postgres.Fault(err)
	}
	row, err := withCartLines(s.client.Cart.Query()).Where(entcart.UserID(userID), entcart.StatusEQ(entcart.StatusOPEN)).Only(ctx)
	return singleCart(row, err, id)
}

const openUserCart = `INSERT INTO carts (id, user_id, status, create_time, update_time) VALUES ($1, $2, 'OPEN', $3, $3) ON CONFLICT DO NOTHING`

// OpenGuestCart implements order.CartStore.
func (s *Store) OpenGuestCart(ctx context.Context, id uuid.UUID, guestTokenHash string, now time.Time) (order.Cart, error) {
	_, err := s.db.Pool().Exec(ctx, `INSERT INTO carts (id, guest_token_hash, status, create_time, update_time)
		VALUES ($1, $2, 'OPEN', $3, $3) ON CONFLICT DO NOTHING`, id, guestTokenHash, now)
	if err != nil {
		return order.Cart{}, postgres.Fault(err)
	}
	return s.Cart(ctx, id, order.Owner{GuestTokenHash: guestTokenHash})
}

// Cart implements order.CartStore.
func (s *Store) Cart(ctx context.Context, id uuid.UUID, owner order.Owner) (order.Cart, error) {
	row, err := withCartLines(s.client.Cart.Query()).
		Where(entcart.ID(id), entcart.StatusEQ(entcart.StatusOPEN), ownedCart(owner)).Only(ctx)
	return singleCart(row, err, id)
}

func withCartLines(q *ent.CartQuery) *ent.CartQuery {
	return q.WithLines(func(lines *ent.CartLineQuery) { lines.Order(cartline.ByID()) })
}

func ownedCart(owner order.Owner) predicate.Cart {
	var proofs []predicate.Cart
	if owner.UserID != uuid.Nil {
		proofs = append(proofs, entcart.UserID(owner.UserID))
	}
	if owner.GuestTokenHash != "" {
		proofs = append(proofs, entcart.And(entcart.UserIDIsNil(), entcart.GuestTokenHash(owner.GuestTokenHash)))
	}
	if len(proofs) == 0 {
		return entcart.IDIn()
	}
	return entcart.Or(proofs...)
}

func singleCart(row *ent.Cart, err error, id uuid.UUID) (order.Cart, error) {
	switch {
	case ent.IsNotFound(err):
		return order.Cart{}, noCart(id)
	case err != nil:
		return order.Cart{}, postgres.Fault(err)
	}
	cart := order.Cart{
		ID: row.ID, CreateTime: row.CreateTime.UTC(), UpdateTime: row.UpdateTime.UTC(), Version: row.Version,
		Lines: make([]order.CartLine, len(row.Edges.Lines)),
	}
	if row.UserID != nil {
		cart.UserID = *row.UserID
	}
	for i, line := range row.Edges.Lines {
		cart.Lines[i] = order.CartLine{ProductID: line.ProductID, Quantity: line.Quantity}
	}
	return cart, nil
}

func noCart(id uuid.UUID) error { return fault.NotFound("cart", id.String()) }

// AddCartLine implements order.CartStore.
func (s *Store) AddCartLine(
	ctx context.Context, id uuid.UUID, owner order.Owner, line order.CartLine, requestID uuid.UUID, now time.Time,
) error {
	return s.writeLine(ctx, id, touchCart+`
		INSERT INTO cart_lines (cart_id, product_id, quantity, request_id, create_time)
		SELECT id, $5, $6, $7, $4 FROM c
		ON CONFLICT (cart_id, product_id) DO UPDATE SET request_id = EXCLUDED.request_id,
			quantity = cart_lines.quantity + CASE WHEN cart_lines.request_id = EXCLUDED.request_id THEN 0 ELSE EXCLUDED.quantity END`,
		id, nullID(owner.UserID), nullText(owner.GuestTokenHash), now, line.ProductID, line.Quantity, requestID)
}

// SetCartLine implements order.CartStore.
func (s *Store) SetCartLine(
	ctx context.Context, id uuid.UUID, owner order.Owner, line order.CartLine, requestID uuid.UUID, now time.Time,
) error {
	if line.Quantity == 0 {
		return s.writeLine(ctx, id, touchCart+`, gone AS (
				DELETE FROM cart_lines USING c WHERE cart_id = c.id AND product_id = $5
			) SELECT FROM c`, id, nullID(owner.UserID), nullText(owner.GuestTokenHash), now, line.ProductID)
	}
	return s.writeLine(ctx, id, touchCart+`
		INSERT INTO cart_lines (cart_id, product_id, quantity, request_id, create_time)
		SELECT id, $5, $6, $7, $4 FROM c
		ON CONFLICT (cart_id, product_id) DO UPDATE SET request_id = EXCLUDED.request_id, quantity = EXCLUDED.quantity`,
		id, nullID(owner.UserID), nullText(owner.GuestTokenHash), now, line.ProductID, line.Quantity, requestID)
}

func (s *Store) writeLine(ctx context.Context, id uuid.UUID, statement string, args ...any) error {
	tag, err := s.db.Pool().Exec(ctx, statement, args...)
	switch {
	case postgres.IsCheck(err, "cart_line_quantity_bounds"):
		return fault.Invalid("quantity", "at most 10000 pieces of a product fit into a cart").WithCause(err)
	case err != nil:
		return postgres.Fault(err)
	case tag.RowsAffected() == 0:
		return noCart(id)
	}
	return nil
}

// DeleteCart implements order.CartStore.
func (s *Store) DeleteCart(ctx context.Context, id uuid.UUID, owner order.Owner) error {
	tag, err := s.db.Pool().Exec(ctx, `DELETE FROM carts
		WHERE id = $1 AND status = 'OPEN' AND (user_id = $2 OR (user_id IS NULL AND guest_token_hash = $3))`,
		id, nullID(owner.UserID), nullText(owner.GuestTokenHash))
	if err == nil && tag.RowsAffected() == 0 {
		return noCart(id)
	}
	return postgres.Fault(err)
}

// PurgeCarts implements order.CartStore.
func (s *Store) PurgeCarts(ctx context.Context, untouchedSince time.Time, limit int) (int, error) {
	tag, err := s.db.Pool().Exec(ctx, `DELETE FROM carts WHERE id IN (
		SELECT id FROM carts WHERE (user_id IS NULL OR status <> 'OPEN') AND update_time < $1
		ORDER BY update_time LIMIT $2 FOR UPDATE SKIP LOCKED)`, untouchedSince, limit)
	return int(tag.RowsAffected()), postgres.Fault(err)
}

// MergeCart implements order.CartStore. The user's cart is held first, then the
// guest's, by every run, so that two runs cannot wait for each other.
func (s *Store) MergeCart(ctx context.Context, m order.CartMerge) (order.Cart, error) {
	var cart order.Cart
	err := s.db.InTx(ctx, func(ctx context.Context, sqlTx *postgres.Tx) error {
		if _, err := sqlTx.ExecContext(ctx, openUserCart, m.NewCartID, m.UserID, m.Now); err != nil {
			return err
		}
		client := ent.NewClient(ent.Driver(sqlTx.Driver()))
		own, err := client.Cart.Query().Where(entcart.UserID(m.UserID), entcart.StatusEQ(entcart.StatusOPEN)).ForUpdate().Only(ctx)
		if err != nil {
			return err
		}
		if m.GuestCartID != own.ID {
			if err := takeOver(ctx, sqlTx, m, own.ID); err != nil {
				return err
			}
		}
		row, err := withCartLines(client.Cart.Query()).Where(entcart.ID(own.ID)).Only(ctx)
		cart, err = singleCart(row, err, own.ID)
		return err
	})
	return cart, err
}

// takeOver closes the guest's cart and adds its pieces, once.
func takeOver(ctx context.Context, tx *postgres.Tx, m order.CartMerge, own uuid.UUID) error {
	result, err := tx.ExecContext(ctx, `UPDATE carts SET status = 'MERGED', successor_id = $3, update_time = $4, version = version + 1
		WHERE id = $1 AND user_id IS NULL AND guest_token_hash = $2 AND status = 'OPEN'`,
		m.GuestCartID, m.GuestTokenHash, own, m.Now)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, mergedBefore(ctx, tx, m))
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO cart_lines (cart_id, product_id, quantity, request_id, create_time)
		SELECT $2, product_id, quantity, $3, $4 FROM cart_lines WHERE cart_id = $1 ORDER BY id
		ON CONFLICT (cart_id, product_id) DO UPDATE SET request_id = EXCLUDED.request_id,
			quantity = least(cart_lines.quantity + EXCLUDED.quantity, 10000)`, m.GuestCartID, own, m.NewCartID, m.Now); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE carts SET update_time = $2, version = version + 1 WHERE id = $1`, own, m.Now)
	return err
}

// mergedBefore is nil when this user took the guest's cart over before.
func mergedBefore(ctx context.Context, tx *postgres.Tx, m order.CartMerge) error {
	var found bool
	err := tx.QueryRowContext(ctx, `SELECT true FROM carts g JOIN carts o ON o.id = g.successor_id
		WHERE g.id = $1 AND g.guest_token_hash = $2 AND g.status = 'MERGED' AND o.user_id = $3`,
		m.GuestCartID, m.GuestTokenHash, m.UserID).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return noCart(m.GuestCartID)
	}
	return err
}
