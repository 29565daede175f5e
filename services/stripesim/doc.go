// Package stripesim is a server with the HTTP surface of Stripe, for
// development and for tests. The real client library talks to it unchanged:
// form-encoded requests, the objects and errors of API version 2023-10-16,
// idempotency keys, cursors, expansion, and signed webhooks that are retried
// until the receiver answers 2xx.
//
// State lives in the PostgreSQL schema stripesim, so a restart loses nothing:
// neither a charge nor a webhook that is still to be delivered.
//
// States of a payment intent:
//
//	requires_payment_method ⇄ requires_confirmation
//	        ▲                        │ confirm
//	        │ declined, or           ▼
//	        │ authentication   requires_action ─┐ authenticated
//	        │ failed                 │          │
//	        └────────────────────────┴── processing ── succeeded
//	                                     requires_capture ── succeeded
//	every state but succeeded ── canceled
//
// Invariants, each held by the database and not only by the code:
//
//   - an intent has at most one charge that succeeded;
//   - a charge never refunds more than it took;
//   - an event and the change it tells of commit together, and an event is
//     delivered at least once.
//
// Behaviour is chosen as at Stripe, by the test payment methods (pm_card_visa,
// pm_card_chargeDeclined, pm_card_authenticationRequired …). What Stripe cannot
// be asked to do (lose an answer, be down, deliver twice or out of order) is
// asked for under /sim/control; such faults live in memory and end with the
// process.
//
// Tables owned: everything in schema stripesim.
package stripesim
