package stripesim

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// execute does the work of a call inside its transaction. What it returns is
// rendered and expanded; an *apiError is answered as such, any other error is
// Stripe's fault (500).
type execute func(ctx context.Context, tx pgx.Tx) (any, error)

// operation is one call of the API. prepare reads and checks the parameters
// without touching the database: until it has passed, nothing has begun, and
// an idempotency key remembers nothing.
type operation struct {
	name    string
	pattern string
	prepare func(*call) (execute, *apiError)
}

// call is one request on its way through.
type call struct {
	sim            *Simulator
	form           *form
	request        *http.Request
	requestID      string
	idempotencyKey string
	expand         []string
	baseURL        string
	body           []byte
}

func (c *call) id() string { return c.request.PathValue("id") }

var operations = []operation{
	{"payment_intents.create", "POST /v1/payment_intents", createIntent},
	{"payment_intents.list", "GET /v1/payment_intents", listIntents},
	{"payment_intents.retrieve", "GET /v1/payment_intents/{id}", retrieveIntent},
	{"payment_intents.update", "POST /v1/payment_intents/{id}", updateIntent},
	{"payment_intents.confirm", "POST /v1/payment_intents/{id}/confirm", confirmIntent},
	{"payment_intents.cancel", "POST /v1/payment_intents/{id}/cancel", cancelIntent},
	{"payment_intents.capture", "POST /v1/payment_intents/{id}/capture", captureIntent},
	{"customers.create", "POST /v1/customers", createCustomer},
	{"customers.list", "GET /v1/customers", listCustomers},
	{"customers.retrieve", "GET /v1/customers/{id}", retrieveCustomer},
	{"customers.update", "POST /v1/customers/{id}", updateCustomer},
	{"customers.delete", "DELETE /v1/customers/{id}", deleteCustomer},
	{"customers.payment_methods", "GET /v1/customers/{id}/payment_methods", listCustomerMethods},
	{"payment_methods.create", "POST /v1/payment_methods", createMethod},
	{"payment_methods.retrieve", "GET /v1/payment_methods/{id}", retrieveMethod},
	{"payment_methods.attach", "POST /v1/payment_methods/{id}/attach", attachMethod},
	{"payment_methods.detach", "POST /v1/payment_methods/{id}/detach", detachMethod},
	{"refunds.create", "POST /v1/refunds", createRefund},
	{"refunds.list", "GET /v1/refunds", listRefunds},
	{"refunds.retrieve", "GET /v1/refunds/{id}", retrieveRefund},
	{"charges.list", "GET /v1/charges", listCharges},
	{"charges.retrieve", "GET /v1/charges/{id}", retrieveCharge},
	{"events.list", "GET /v1/events", listEvents},
	{"events.retrieve", "GET /v1/events/{id}", retrieveEvent},
	{"balance_transactions.retrieve", "GET /v1/balance_transactions/{id}", retrieveBalanceTransaction},
}

// maxBody is what Stripe's largest request could need, and far below what
// would hurt.
const maxBody = 1 << 20

// Handler serves the API under /v1, the pages of authentication under
// /sim/3ds and the control of faults under /sim/control.
func (s *Simulator) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, op := range operations {
		mux.HandleFunc(op.pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, op) })
	}
	mux.HandleFunc("/v1/", s.unknownURL)
	s.mountAuthentication(mux)
	s.mountControl(mux)
	return mux
}

func (s *Simulator) unknownURL(w http.ResponseWriter, r *http.Request) {
	e := invalid("", "", "Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
		r.Method, clip(r.URL.Path))
	e.Status = http.StatusNotFound
	s.answer(w, newID("req"), "", errorResult(e))
}

// serve takes a call through its stations: faults asked for, key, parameters,
// execution, answer. A fault after execution loses the answer, not the effect.
func (s *Simulator) serve(w http.ResponseWriter, r *http.Request, op operation) {
	s.control.count(op.name)
	requestID := newID("req")
	if s.control.isDown() {
		reset(w)
		return
	}
	if e := s.authorize(r); e != nil {
		s.answer(w, requestID, "", errorResult(e))
		return
	}
	if !s.control.admit(s.now()) {
		s.answer(w, requestID, "", errorResult(rateLimited()))
		return
	}
	c, e := s.newCall(w, r, requestID)
	if e != nil {
		s.answer(w, requestID, "", errorResult(e))
		return
	}
	// Only now, with the body read, does the server notice that a caller hangs up.
	flaw := s.control.take(op.name)
	if done := s.before(w, r, flaw, requestID); done {
		return
	}
	run, e := op.prepare(c)
	if e == nil {
		e = c.form.finish()
	}
	if e != nil {
		s.answer(w, requestID, c.idempotencyKey, errorResult(e))
		return
	}
	outcome := s.perform(r.Context(), c, run, flaw)
	s.poke()
	if done := after(w, r, flaw); done {
		return
	}
	s.answer(w, requestID, c.idempotencyKey, outcome)
}

// authorize compares the key in constant time, as everything that guards.
func (s *Simulator) authorize(r *http.Request) *apiError {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		key, _, ok = r.BasicAuth()
	}
	e := &apiError{Status: http.StatusUnauthorized, Type: typeInvalid}
	switch {
	case !ok || key == "":
		e.Message = "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
		return e
	case subtle.ConstantTimeCompare([]byte(key), []byte(s.cfg.SecretKey)) != 1:
		e.Message = "Invalid API Key provided: " + masked(key)
		return e
	}
	if version := r.Header.Get("Stripe-Version"); version != "" && version != APIVersion {
		return invalid("", "", "Invalid Stripe API version: %s. This server speaks %s.", clip(version), APIVersion)
	}
	return nil
}

// masked shows as much of a key as Stripe does: its kind and its last four.
func masked(key string) string {
	if len(key) < 16 {
		return strings.Repeat("*", len(key))
	}
	return key[:8] + strings.Repeat("*", min(len(key)-12, 20)) + key[len(key)-4:]
}

func (s *Simulator) newCall(w http.ResponseWriter, r *http.Request, requestID string) (*call, *apiError) {
	c := &call{sim: s, request: r, requestID: requestID, baseURL: s.cfg.PublicURL}
	if c.baseURL == "" {
		c.baseURL = "http://" + r.Host
	}
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		c.idempotencyKey = r.Header.Get("Idempotency-Key")
		if len(c.idempotencyKey) > 255 {
			return nil, invalid("", "", "Idempotency-Key must be at most 255 characters.")
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			e := invalid("", "", "Request body is too large or could not be read.")
			e.Status = http.StatusRequestEntityTooLarge
			return nil, e
		}
		c.body = body
		posted, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, invalid("", "", "Invalid request body: it is not form-encoded.")
		}
		for name, v := range posted {
			values[name] = append(values[name], v...)
		}
	}
	c.form = newForm(values)
	c.expand = c.form.list("expand")
	return c, nil
}

// result is an answer ready to send, or to keep under an idempotency key.
type result struct {
	status   int
	body     []byte
	replayed string // the first request's id
}

func errorResult(e *apiError) result {
	return result{status: e.Status, body: encode(map[string]any{"error": e})}
}

func (s *Simulator) answer(w http.ResponseWriter, requestID, idempotencyKey string, res result) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Request-Id", requestID)
	h.Set("Stripe-Version", APIVersion)
	h.Set("Cache-Control", "no-cache, no-store")
	if idempotencyKey != "" {
		h.Set("Idempotency-Key", idempotencyKey)
		h.Set("Original-Request", orElse(res.replayed, requestID))
	}
	if res.replayed != "" {
		h.Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(res.status)
	if _, err := w.Write(res.body); err != nil {
		s.cfg.Logger.Debug("stripe simulator: the caller did not wait for its answer", "request_id", requestID, "error", err)
	}
}

// fail turns any error of an execution into an answer and logs what is not
// the caller's fault.
func (s *Simulator) fail(c *call, err error) result {
	s.cfg.Logger.Error("stripe simulator: call failed", "request_id", c.requestID,
		"path", c.request.URL.Path, "error", fmt.Sprint(err))
	return errorResult(serverError())
}
