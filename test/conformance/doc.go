// Package conformance asks a running shop, from outside, whether it can be
// trusted with money: one named case for each trap that shops fall into, over
// REST and Connect, under concurrency, and with a payment provider that loses
// answers.
//
// It knows nothing of the platform's code. Everything it makes is new (products,
// people, orders), so it may run against a shop with data in it. It must not run
// against a live shop: it buys, cancels and refunds with Stripe's test methods.
//
// Some traps cannot be seen from outside, because they need a crash between two
// statements or a look into the database. Held names the component tests that
// hold those, so that none of the traps is left out.
package conformance
