package stripesim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// settings are the switches that stay until they are turned back.
type settings struct {
	// Down drops every connection to /v1.
	Down bool `json:"down"`
	// LatencyMS is added to every call, in milliseconds.
	LatencyMS int `json:"latency_ms"`
	// RateLimit is the number of calls a second beyond which 429 is answered; 0
	// is no limit.
	RateLimit int `json:"rate_limit"`
	// Webhooks changes how events are delivered.
	Webhooks webhookSettings `json:"webhooks"`
}

type webhookSettings struct {
	// Off keeps events back; they are sent when it is turned on again.
	Off bool `json:"off"`
	// Duplicates is how many further times each event is sent.
	Duplicates int `json:"duplicates"`
	// Reorder sends the newest event first.
	Reorder bool `json:"reorder"`
	// DelayMS holds each new event back, in milliseconds.
	DelayMS int `json:"delay_ms"`
	// ClockSkewS is added to the time in signatures, in seconds.
	ClockSkewS int `json:"clock_skew_s"`
}

// control holds what tests and developers ask to go wrong.
type control struct {
	mu       sync.Mutex
	settings settings
	faults   []fault
	calls    map[string]int64
	second   int64
	admitted int
	peak     int
}

func newControl() *control { return &control{calls: make(map[string]int64)} }

func (c *control) count(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[operation]++
}

func (c *control) isDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings.Down
}

func (c *control) latency() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.settings.LatencyMS) * time.Millisecond
}

func (c *control) webhooks() webhookSettings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings.Webhooks
}

// admit counts calls in whole seconds and remembers the busiest one.
func (c *control) admit(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if second := now.Unix(); second != c.second {
		c.second, c.admitted = second, 0
	}
	c.admitted++
	c.peak = max(c.peak, c.admitted)
	return c.settings.RateLimit == 0 || c.admitted <= c.settings.RateLimit
}

// take uses up one of the faults that wait for the operation.
func (c *control) take(operation string) fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.faults {
		f := &c.faults[i]
		if f.Operation != operation && f.Operation != "*" {
			continue
		}
		taken := *f
		if f.Count--; f.Count == 0 {
			c.faults = slices.Delete(c.faults, i, i+1)
		}
		return taken
	}
	return fault{}
}

// report is the state that GET /sim/control shows.
type report struct {
	Settings       settings         `json:"settings"`
	Faults         []fault          `json:"faults"`
	Calls          map[string]int64 `json:"calls"`
	PeakPerSecond  int              `json:"peak_per_second"`
	PendingDeliver int64            `json:"pending_deliveries"`
}

func (c *control) report() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return report{
		Settings: c.settings, Faults: append([]fault{}, c.faults...),
		Calls: maps.Clone(c.calls), PeakPerSecond: c.peak,
	}
}

// mountControl adds the endpoints under /sim/control. They take the secret
// key, as the API does: they can make money calls fail.
//
//	GET    /sim/control                      settings, faults, counted calls
//	PATCH  /sim/control/settings             {"down":true,"webhooks":{"off":true}}: absent fields stay
//	POST   /sim/control/faults               {"operation":"refunds.create","kind":"error_before","count":2}
//	DELETE /sim/control                      ends all faults and settings
//	POST   /sim/control/events/{id}/resend   sends an event once more
func (s *Simulator) mountControl(mux *http.ServeMux) {
	guard := func(next func(http.ResponseWriter, *http.Request) *apiError) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			e := s.authorize(r)
			if e == nil {
				e = next(w, r)
			}
			if e != nil {
				s.answer(w, newID("req"), "", errorResult(e))
			}
		}
	}
	mux.HandleFunc("GET /sim/control", guard(s.showControl))
	mux.HandleFunc("DELETE /sim/control", guard(s.clearControl))
	mux.HandleFunc("PATCH /sim/control/settings", guard(s.changeSettings))
	mux.HandleFunc("POST /sim/control/faults", guard(s.addFault))
	mux.HandleFunc("POST /sim/control/events/{id}/resend", guard(s.resendEvent))
}

func (s *Simulator) showControl(w http.ResponseWriter, r *http.Request) *apiError {
	shown := s.control.report()
	err := s.cfg.Pool.QueryRow(r.Context(), `SELECT count(*) FROM stripesim.delivery WHERE state = 'pending'`).Scan(&shown.PendingDeliver)
	if err != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "stripe simulator: count deliveries", "error", err)
		return serverError()
	}
	s.answer(w, newID("req"), "", result{status: http.StatusOK, body: encode(shown)})
	return nil
}

func (s *Simulator) clearControl(w http.ResponseWriter, r *http.Request) *apiError {
	s.control.mu.Lock()
	s.control.settings, s.control.faults = settings{}, nil
	s.control.mu.Unlock()
	s.poke()
	return s.showControl(w, r)
}

func (s *Simulator) changeSettings(w http.ResponseWriter, r *http.Request) *apiError {
	body, e := readControl(w, r)
	if e != nil {
		return e
	}
	s.control.mu.Lock()
	changed := s.control.settings
	e = decodeControl(body, &changed)
	if e == nil && (changed.LatencyMS < 0 || changed.RateLimit < 0 || changed.Webhooks.Duplicates < 0 || changed.Webhooks.DelayMS < 0) {
		e = invalid("", "", "Settings must not be negative.")
	}
	if e == nil {
		s.control.settings = changed
	}
	s.control.mu.Unlock()
	if e != nil {
		return e
	}
	s.poke()
	return s.showControl(w, r)
}

func (s *Simulator) addFault(w http.ResponseWriter, r *http.Request) *apiError {
	f := fault{Operation: "*", Count: 1}
	body, e := readControl(w, r)
	if e == nil {
		e = decodeControl(body, &f)
	}
	if e != nil {
		return e
	}
	known := f.Operation == "*" || slices.ContainsFunc(operations, func(op operation) bool { return op.name == f.Operation })
	switch {
	case !known:
		return invalid("", "operation", "Unknown operation: %s", clip(f.Operation))
	case !slices.Contains(faultKinds, f.Kind):
		return invalid("", "kind", "Invalid kind: must be one of %v", faultKinds)
	case f.Count < 1 || f.Milliseconds < 0:
		return invalid("", "count", "count must be at least 1, milliseconds at least 0")
	}
	s.control.mu.Lock()
	s.control.faults = append(s.control.faults, f)
	s.control.mu.Unlock()
	return s.showControl(w, r)
}

func (s *Simulator) resendEvent(w http.ResponseWriter, r *http.Request) *apiError {
	err := pgx.BeginFunc(r.Context(), s.cfg.Pool, func(tx pgx.Tx) error {
		if _, err := find[event](r.Context(), tx, kindEvent, r.PathValue("id")); err != nil {
			return err
		}
		return s.enqueue(r.Context(), tx, r.PathValue("id"), 1)
	})
	switch {
	case errors.Is(err, errNotFound):
		return missing(http.StatusNotFound, kindEvent.name, r.PathValue("id"), "id")
	case err != nil:
		s.cfg.Logger.ErrorContext(r.Context(), "stripe simulator: resend event", "error", err)
		return serverError()
	}
	s.poke()
	return s.showControl(w, r)
}

func readControl(w http.ResponseWriter, r *http.Request) ([]byte, *apiError) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, invalid("", "", "Request body is too large or could not be read.")
	}
	return body, nil
}

func decodeControl(body []byte, into any) *apiError {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return invalid("", "", "Invalid JSON: %v", err)
	}
	return nil
}
