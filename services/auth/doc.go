// Package auth owns accounts, credentials, sessions and the keys that sign
// access tokens. It writes the tables account, session, refresh_token,
// one_time_token, revoked_session and signing_key of its own schema.
//
// # Invariants
//
//   - Whether an address has an account shows neither in an answer nor in the
//     work done for it: registration and reset do one hash and one transaction
//     (or none) in both cases, and a job decides later which mail to send.
//   - A password counts only once the owner of the address has answered a mail
//     that was sent for the registration that gave it.
//   - Secrets that leave the platform (refresh tokens, mailed links) are stored
//     as SHA-256 hashes; passwords as Argon2id.
//   - A new password, new roles, a ban and an erasure end sessions.
//
// # Refresh tokens
//
// A session is a family of refresh tokens with exactly one unused member, held
// by a unique index. Rotation uses that member and adds its successor in one
// transaction. The used token presented again within the grace period returns
// the same successor, so neither a second tab nor a lost answer logs anybody
// out. Presented later it is a replay: the family is revoked, and only it.
//
// # Signing keys
//
//	pending ─▶ published ─▶ active ─▶ retiring ─▶ removed
//
// A published key is in the key set but does not sign yet, so that every
// verifier knows it before the first token names it. A retiring key no longer
// signs, has lost its private half, and stays in the key set until the last
// token it signed has expired.
package auth
