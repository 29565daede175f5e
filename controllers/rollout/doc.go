// Package rollout brings a new revision of a whole stack to its customers, or
// takes it back. It is a pure state machine: what is wanted, what is known and
// the time go in, the next state and what is to be done come out.
//
//	Idle → Pending → AwaitingApproval → Migrating → wave by wave { Progressing step by step → Promoting } → Complete
//	                                                          ↘ Paused ↗       ↘ RollingBack → RolledBack
//
// Pending waits for the rotation of a secret and for a window. A wave is a set of
// components; waves follow the calls between components, callees first. With
// strategy Canary each wave takes the steps of the spec, then is replaced; with
// RollingUpdate it is replaced at once. The first revision of a stack has nobody
// to protect: it takes no approval and no steps, and is never taken back.
//
// Invariants, each held by a property test:
//
//   - Only the revision that serves and the one that comes run, and a wave is not
//     touched before the waves below it run the new revision alone.
//   - No pod of the new revision runs before its migration succeeded, nor before
//     an approval where one is demanded before the start; no wave is replaced
//     before an approval where one is demanded before promotion.
//   - A revision that failed is not tried again until the spec changes.
//   - Whatever fails, the stack ends with every wave on one revision.
//
// The caller stores the new state before it carries out the effects.
package rollout
