// Package user owns profiles and address books: what people say of themselves
// beyond their login. It writes the tables profile, address and erased_user of
// its own schema.
//
// # Invariants
//
//   - A profile's id is the user's id. Accounts belong to auth: a profile is
//     made when auth says that an account was created, or when it is first
//     asked for, and goes when auth says that the account was erased.
//   - Events may come twice and in the wrong order. An erased user stays erased:
//     a tombstone keeps a late registration from bringing the profile back.
//   - Every statement on an address names its owner, so another person's
//     address cannot be found, let alone changed.
//   - Telephone numbers and addresses are stored encrypted.
package user
