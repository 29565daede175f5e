// Package task holds the background work of orders: errands to other
// components that a transaction asked for, and the sweep that ends what nobody
// paid.
package task
