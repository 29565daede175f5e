// Package store keeps orders, carts and coupons in PostgreSQL. Reads and state
// changes go through Ent; the placing of an order and every change of a cart
// are single statements of SQL, the first to take one round trip, the others to
// be atomic under parallel writers.
package store
