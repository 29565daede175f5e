package stripesim

import (
	"net/http"
	"time"
)

// Kinds of faults that a test can ask for.
const (
	faultErrorBefore   = "error_before"   // 500, nothing happened
	faultErrorAfter    = "error_after"    // 500, the effect is there
	faultResetBefore   = "reset_before"   // connection lost, nothing happened
	faultResetAfter    = "reset_after"    // connection lost, the effect is there
	faultTimeoutBefore = "timeout_before" // no answer, nothing happened
	faultTimeoutAfter  = "timeout_after"  // no answer, the effect is there
	faultRateLimit     = "rate_limit"     // 429, nothing happened
	faultLockTimeout   = "lock_timeout"   // 429, nothing happened
	faultLatency       = "latency"        // the answer comes late
)

var faultKinds = []string{
	faultErrorBefore, faultErrorAfter, faultResetBefore, faultResetAfter,
	faultTimeoutBefore, faultTimeoutAfter, faultRateLimit, faultLockTimeout, faultLatency,
}

// fault is what goes wrong with the next Count calls of an operation.
type fault struct {
	// Operation is a name such as payment_intents.create, or * for all.
	Operation string `json:"operation"`
	Kind      string `json:"kind"`
	Count     int    `json:"count"`
	// Milliseconds is the delay of latency, and how long the timeouts hold a
	// caller that does not hang up first.
	Milliseconds int `json:"milliseconds"`
}

func (f fault) wait() time.Duration {
	if f.Milliseconds == 0 && (f.Kind == faultTimeoutBefore || f.Kind == faultTimeoutAfter) {
		return time.Minute
	}
	return time.Duration(f.Milliseconds) * time.Millisecond
}

// before plays the faults that come ahead of any effect. It tells whether the
// call ends here.
func (s *Simulator) before(w http.ResponseWriter, r *http.Request, f fault, requestID string) bool {
	pause(r, s.control.latency())
	switch f.Kind {
	case faultErrorBefore:
		s.answer(w, requestID, "", errorResult(serverError()))
	case faultRateLimit:
		s.answer(w, requestID, "", errorResult(rateLimited()))
	case faultLockTimeout:
		s.answer(w, requestID, "", errorResult(lockTimeout()))
	case faultResetBefore:
		reset(w)
	case faultTimeoutBefore:
		pause(r, f.wait())
		reset(w)
	case faultLatency:
		pause(r, f.wait())
		return false
	default:
		return false
	}
	return true
}

// after plays the faults that lose the answer of a call that has happened.
func after(w http.ResponseWriter, r *http.Request, f fault) bool {
	switch f.Kind {
	case faultResetAfter:
		reset(w)
	case faultTimeoutAfter:
		pause(r, f.wait())
		reset(w)
	default:
		return false
	}
	return true
}

// pause waits, or until the caller hangs up.
func pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// reset drops the connection in the middle of the answer. The first bytes
// matter: HTTP clients quietly repeat a call with an Idempotency-Key when a
// connection that they kept ends before it says anything, and the caller would
// never see the fault.
func reset(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 cannot be hijacked: the stream is reset instead
	}
	_, _ = buffered.WriteString("HTTP/1.1 ")
	_ = buffered.Flush()
	_ = conn.Close()
}
