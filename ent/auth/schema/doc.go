// Package schema declares the tables of the auth component. Every rule that
// must hold whatever the program does (one address an account, one live
// refresh token a session, one active signing key) is a constraint here, so
// that the database refuses what a race would otherwise let through.
package schema
