// Package rpc serves billing over Connect and REST, and takes in the events that
// concern it.
package rpc
