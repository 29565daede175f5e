// Package rpc serves the user component's contract: each method converts,
// calls the domain once and converts back.
package rpc
