// Package jwtverify checks the access tokens that the auth component signs.
//
// A [Verifier] accepts EdDSA and nothing else, whatever a token's header says,
// and only keys of the fetched key set. It knows ended sessions through
// [Revocations], so a token of an ended session stops working within seconds
// and not at the end of its life.
package jwtverify
