// Package throttle slows down those who guess passwords without ever locking
// an account for good.
//
// Attempts are counted three ways: for the account from one address, for the
// account from anywhere, and for the address. Each count has some free
// attempts, after which every further one doubles the wait up to a limit. The
// strict count is the one of account and address together, so a stranger who
// guesses cannot keep the owner out for long. Counts live in Redis; while it
// is down each process counts for itself.
package throttle
