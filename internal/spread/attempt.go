package spread

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Attempt sends a request and tells, when there is no answer, whether a part of
// it may have been sent. When none was, or what was sent was refused unread,
// nobody has acted on it: it can be sent elsewhere by Again, whatever its
// method. Otherwise the body belongs to next, as with http.RoundTripper.
func Attempt(next http.RoundTripper, r *http.Request) (response *http.Response, sent bool, err error) {
	response, sent, _, err = attempt(next, r)
	return response, sent, err
}

// attempt is Attempt, and tells whether a failure is that of the request's own body.
func attempt(next http.RoundTripper, r *http.Request) (response *http.Response, sent, unreadable bool, err error) {
	var connected, failed atomic.Bool
	// A transport that takes another connection by itself knows that the first one took nothing.
	tried := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}))
	if r.Body != nil && r.Body != http.NoBody {
		tried.Body = &heldBody{ReadCloser: r.Body, release: &connected, failed: &failed}
	}
	response, err = next.RoundTrip(tried)
	if response != nil {
		response.Request = r
	}
	return response, connected.Load() || err == nil, failed.Load(), err
}

// Again returns the request as it was before an attempt that sent nothing.
func Again(r *http.Request) *http.Request {
	again := r.WithContext(r.Context())
	if r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			again.Body = body
		}
	}
	return again
}

// heldBody is closed only after a connection was found for it.
type heldBody struct {
	io.ReadCloser

	release, failed *atomic.Bool
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed.Store(true)
	}
	return n, err //nolint:wrapcheck // the body's own error
}

// Close implements io.Closer.
func (b *heldBody) Close() error {
	if !b.release.Load() {
		return nil
	}
	return b.ReadCloser.Close()
}
