// Package stripe is billing's payment provider: Stripe's API behind a budget of
// calls, a circuit breaker, and retries under one idempotency key.
package stripe
