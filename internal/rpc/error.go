package rpc

import (
	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/fault"
)

// WireError returns err as a client may see it, for what answers in front of
// the server, such as the gateway. An error that holds no fault becomes an
// internal error with a fixed text.
func WireError(err error) *connect.Error {
	failure := fault.From(err)
	if failure == nil || failure.Kind == fault.KindInternal {
		failure = fault.New(fault.KindInternal, "", "something went wrong on our side")
	}
	return toWire(failure)
}
