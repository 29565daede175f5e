// Package crypto protects fields at rest and makes tokens.
//
// A Keyring seals single fields with AES-256-GCM before they are stored. The
// first key seals, all keys open, so keys are rotated without downtime: put a
// new key first, rewrite what NeedsReseal reports, then drop the old key.
//
// A sealed field is
//
//	version (1 byte) | length of key id (1 byte) | key id | nonce (12 bytes) | ciphertext and tag
//
// Everything before the ciphertext and the caller's associated data are
// authenticated. Associated data should name the place of the field, such as
// table, column and row: a sealed value copied to another row then does not open.
//
// A key seals at most 2^32 fields, the bound for random nonces; rotate long
// before that.
//
// What is too large for memory, such as a backup, is sealed as a stream of chunks
// (SealStream), of which none can be left out, moved or cut off.
//
// Tokens (for refresh, reset, verification) are random; only their SHA-256 is
// stored, so a copy of the database signs nobody in. They are not passwords:
// a plain hash is enough because they cannot be guessed.
//
// No error of this package holds a key, a plaintext or a token.
package crypto
