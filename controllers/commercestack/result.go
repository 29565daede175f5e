package commercestack

import (
	"errors"
	"fmt"
	"time"
)

// Result is what a phase returns.
type Result struct {
	// RequeueAfter asks for another visit; zero does not.
	RequeueAfter time.Duration
	// Err is retried with backoff, unless it is a StalledError.
	Err error
	// Stop skips all later phases but the status.
	Stop bool
}

// StalledError is an error that only a person can help: the text says how.
type StalledError struct {
	// Reason for the condition, in CamelCase.
	Reason string
	// Message is a sentence that says what to do.
	Message string
}

// Error is the message.
func (s *StalledError) Error() string { return s.Message }

func stalled(reason, format string, args ...any) Result {
	return Result{Err: &StalledError{Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

// stalledStop is stalled, and nothing later makes sense.
func stalledStop(reason, format string, args ...any) Result {
	result := stalled(reason, format, args...)
	result.Stop = true
	return result
}

func failed(err error) Result { return Result{Err: err} }

func after(wait time.Duration) Result { return Result{RequeueAfter: wait} }

// Outcome collects the results of a visit.
type Outcome struct {
	requeue time.Duration
	errs    []error
	stalled *StalledError
	stopped bool
}

// Add takes up the result of a phase.
func (o *Outcome) Add(phase string, result Result) {
	o.stopped = o.stopped || result.Stop
	if result.RequeueAfter > 0 && (o.requeue == 0 || result.RequeueAfter < o.requeue) {
		o.requeue = result.RequeueAfter
	}
	var terminal *StalledError
	switch {
	case result.Err == nil:
	case errors.As(result.Err, &terminal):
		if o.stalled == nil {
			o.stalled = terminal
		}
	default:
		o.errs = append(o.errs, fmt.Errorf("%s: %w", phase, result.Err))
	}
}

// Err is every error that is worth a retry.
func (o *Outcome) Err() error { return errors.Join(o.errs...) }

// Complete holds when every phase ran and named all its objects.
func (o *Outcome) Complete() bool { return !o.stopped && len(o.errs) == 0 && o.stalled == nil }
