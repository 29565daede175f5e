// Package pki is the certificate authority of a stack: an authority that is
// replaced before its end without a moment in which somebody meets a certificate
// they do not trust, and the leaf certificates it signs.
//
// An authority goes through: active alone → next published (in every ca.crt,
// signs nothing) → next active (signs everything; the previous one is still
// trusted) → previous forgotten once no leaf can be of it. Time comes from the
// caller, and every step is a pure function of the stored state and the time, so
// that a step which was lost is taken again.
//
// Keys are ECDSA P-256. Nothing here logs or formats a key.
package pki
