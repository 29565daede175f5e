// Package product owns the catalog and the stock.
//
// Tables: product, category, product_category, product_image, catalog_state,
// stock_level, stock_entry, reservation, reservation_line.
//
// # Invariants
//
//   - 0 ≤ reserved ≤ on_hand for every product, as a check of the database:
//     nobody oversells, whatever code writes.
//   - The ledger (stock_entry) is append-only, and the sums of its deltas are
//     the stock level.
//   - A price is not negative and is counted in minor units of its currency.
//   - Slug and SKU are unique among the products that are not deleted.
//   - The category tree has no cycle, also when two moves run at once.
//   - Every change of the catalog raises the catalog's version in its own
//     transaction and takes the version's row lock first, so that changes take
//     turns and caches can tell old from new.
//
// # Reservations
//
//	            ┌── Commit ──▶ COMMITTED ── Release ──▶ RELEASED (goods returned)
//	ACTIVE ─────┼── Release ─▶ RELEASED ──┐
//	            └── time ────▶ EXPIRED ───┴─ Reserve again ─▶ ACTIVE
//
// A reservation's key is the order's id, so every call can be repeated. The
// sweeper and not the clock ends a reservation: until it ran, a late commit
// still finds the goods. A cancelled sale never comes back to life.
//
// Demand is summed for each product before stock is looked at, and stock rows
// are locked in id order, all in one statement of the database.
package product
