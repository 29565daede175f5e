// Package notification sends mail to people: what they asked for (links to
// verify an address or reset a password) and what happened to their orders.
//
// It owns the tables mail and captured_mail. A row of mail is the queue and the
// record at once:
//
//	QUEUED ──sent──▶ SENT
//	  │ ▲
//	  │ └── an operator redrives it
//	  └── third try failed ──▶ DEAD
//
// Invariants: one idempotency key is one mail (unique); a mail is tried at most
// three times before it is DEAD (CHECK); the recipient and the parameters are
// encrypted at rest, so a dump of the queue holds no reset link.
//
// Workers claim rows with SKIP LOCKED under a lease. A worker that dies leaves
// nothing behind: its lease ends and another one takes the row. A mail that
// cannot be sent never blocks the ones behind it. Between handing a mail to the
// provider and recording it a crash can send it twice; both carry the same
// Message-ID, by which mail servers and people can tell.
package notification
