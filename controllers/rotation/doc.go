// Package rotation replaces the secrets of a stack while it serves. It is a
// pure state machine: what is known and the time go in, the next state and what
// is to be done come out. It holds ids of versions, never a secret's value.
//
// Each kind of secret has a program, a list of steps:
//
//	login:               generate → set login → publish new → retire login → erase
//	cache login:         generate → distribute → set login → publish new → retire login → erase
//	identity keys:       generate → publish old+new → publish new+old → overlap → publish new → erase
//	encryption keys:     generate → publish old+new → publish new+old → rewrite → publish new → archive
//	webhook secret:      adopt → publish new+old → overlap → publish new → erase
//	signing keys:        publish the request → lead → overlap
//
// "Publish a+b" means that every consumer uses a and accepts b. A step ends when
// its end is observed, never because it was carried out, and while it lasts it
// asks for the same effects again. So a crash anywhere costs a repetition, and a
// repetition changes nothing.
//
// Invariants, each held by a property test:
//
//   - What a consumer uses is accepted by every other party at every moment,
//     also while consumers are being replaced one by one.
//   - A version that a consumer uses is not retired or erased.
//   - At most one secret of a stack rotates, and none begins or moves pods
//     during a rollout.
//   - Before the first publish, giving up moves no pod. A first publish that
//     does not get through is taken back, after which nothing is.
//
// The caller stores the new state before it carries out the effects.
package rotation
