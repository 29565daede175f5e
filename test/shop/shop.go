// Package shop is a plain REST client of a running shop, as a person with curl
// would use it. The end-to-end tests, the conformance suite and the benchmarks
// share it. It knows nothing of the platform's code.
package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Shop is one caller of one shop. Copies made by As and With share the connections.
type Shop struct {
	// URL of the shop, without a trailing slash.
	URL string
	// HTTP is the client; nil means one with a timeout of 60 s.
	HTTP *http.Client
	// Token is the access token; empty calls as a guest.
	Token string
	// GuestToken is sent as X-Guest-Token.
	GuestToken string
	// Header is added to every request.
	Header http.Header
}

// Answer is what came back.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Header of the answer.
	Header http.Header
	// Raw body.
	Raw []byte
	// Body is the decoded JSON object; nil when the body is not one.
	Body map[string]any
}

// New returns a guest of the shop at the address.
func New(address string) *Shop {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	return &Shop{URL: strings.TrimRight(address, "/"), HTTP: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// As returns the same shop with another access token.
func (s *Shop) As(token string) *Shop {
	other := *s
	other.Token, other.GuestToken = token, ""
	return &other
}

// AsGuest returns the same shop with a guest token.
func (s *Shop) AsGuest(token string) *Shop {
	other := *s
	other.Token, other.GuestToken = "", token
	return &other
}

// With returns the same caller with one more header, such as an Idempotency-Key.
func (s *Shop) With(name, value string) *Shop {
	other := *s
	other.Header = s.Header.Clone()
	if other.Header == nil {
		other.Header = make(http.Header)
	}
	other.Header.Set(name, value)
	return &other
}

// Do sends a request. A string or []byte body is sent as it is, anything else as JSON.
func (s *Shop) Do(ctx context.Context, method, path string, body any) (*Answer, error) {
	var reader io.Reader
	switch typed := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(typed)
	case []byte:
		reader = bytes.NewReader(typed)
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if s.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.Token)
	}
	if s.GuestToken != "" {
		request.Header.Set("X-Guest-Token", s.GuestToken)
	}
	maps.Copy(request.Header, s.Header)
	response, err := s.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Status: response.StatusCode, Header: response.Header, Raw: raw}
	_ = json.Unmarshal(raw, &answer.Body) // a body that is no object stays nil
	return answer, nil
}

// Must is Do that fails unless the status is 2xx. It waits and repeats when the
// shop says 429 or 503, as a polite client does.
func (s *Shop) Must(ctx context.Context, method, path string, body any) (*Answer, error) {
	for {
		answer, err := s.Do(ctx, method, path, body)
		if err != nil {
			return nil, err
		}
		if answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable {
			if err := wait(ctx, answer.RetryAfter()); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			continue
		}
		if answer.Status < 200 || answer.Status > 299 {
			return answer, fmt.Errorf("%s %s: status %d: %s", method, path, answer.Status, cut(answer.Raw))
		}
		return answer, nil
	}
}

// RetryAfter is how long the shop asked to wait, at least 50 ms.
func (a *Answer) RetryAfter() time.Duration {
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 50 * time.Millisecond
	}
	return time.Duration(seconds) * time.Second
}

// Get walks the decoded body: Get("order", "items", 0, "quantity"). Missing steps give nil.
func (a *Answer) Get(path ...any) any {
	var at any = a.Body
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, _ := at.(map[string]any)
			at = object[key]
		case int:
			list, _ := at.([]any)
			if key >= len(list) {
				return nil
			}
			at = list[key]
		}
	}
	return at
}

// String is Get as text; numbers are written without a fraction.
func (a *Answer) String(path ...any) string {
	switch value := a.Get(path...).(type) {
	case string:
		return value
	case float64:
		return strconv.FormatInt(int64(value), 10)
	case bool:
		return strconv.FormatBool(value)
	default:
		return ""
	}
}

// Int is Get as a number; int64 fields come as text in protobuf JSON.
func (a *Answer) Int(path ...any) int64 {
	n, _ := strconv.ParseInt(a.String(path...), 10, 64)
	return n
}

// Len is the length of a list.
func (a *Answer) Len(path ...any) int {
	list, _ := a.Get(path...).([]any)
	return len(list)
}

// Code is the code of the error body, empty when there is none.
func (a *Answer) Code() string { return a.String("error", "code") }

// ErrTimeout says that what was waited for did not happen.
var ErrTimeout = errors.New("it did not happen in time")

// Eventually calls check until it reports true, an error, or the time is over.
func Eventually(ctx context.Context, limit time.Duration, check func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	pause := 10 * time.Millisecond
	for {
		done, err := check()
		if err != nil || done {
			return err
		}
		if time.Now().After(deadline) {
			return ErrTimeout
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 200*time.Millisecond)
	}
}

// Query builds a query string from pairs.
func Query(pairs ...string) string {
	values := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return "?" + values.Encode()
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func cut(raw []byte) string {
	const most = 400
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}
