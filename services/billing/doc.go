// Package billing collects money for orders, gives it back, and writes
// invoices. It is the only component that talks to the payment provider.
//
// States of a payment:
//
//	PENDING ──► AUTHORIZED ──► SUCCEEDED ──► PARTIALLY_REFUNDED ──► REFUNDED
//	   │  ▲                        ▲
//	   ▼  │                        │ money that arrived after all
//	UNKNOWN                        │
//	   └──────────► FAILED ────────┘
//
// UNKNOWN means that the provider's answer was lost. It is never taken for a
// failure: the provider is asked until it tells.
//
// Invariants, held by constraints of the database:
//
//   - an order has at most one payment that can take money (payment_one_live_per_order);
//   - an intent of the provider belongs to one payment;
//   - what is promised back never exceeds what came in (payment_refunds);
//   - an order has one invoice, a refund one credit note, numbers have no gaps.
//
// A payment is written before the provider is asked, and everything is asked
// under an idempotency key made of our id. So whatever is lost in between, the
// same call is repeated and has one effect. What the provider answers, what its
// webhooks say and what polling finds all go through one function (apply),
// which refetched state and a row lock make independent of their order.
//
// Queues are the tables themselves: a row with a next_poll_time in the past is
// claimed with SKIP LOCKED by moving that time forward, which is the lease.
//
// Erasure: when an account is deleted its billing profile goes, and payments
// lose the user and the address. Invoices and credit notes stay with the name
// and address printed on them, because commercial and tax law (such as § 147 AO
// and § 14b UStG) ask to keep them for ten years; their link to the account and
// the e-mail address, which the law does not ask for, are removed.
//
// Tables owned: payment, refund, refund_order, webhook_event, invoice,
// invoice_counter, billing_profile.
package billing
