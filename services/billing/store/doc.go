// Package store keeps billing's rows in PostgreSQL. Secrets of payments, the
// recipients of documents and billing profiles are encrypted.
package store
