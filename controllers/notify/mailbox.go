package notify

import (
	"slices"
	"time"
)

// Kind is what a notice speaks of.
type Kind string

// The kinds of notices.
const (
	// KindStarted is a revision whose first pods come.
	KindStarted Kind = "Started"
	// KindAwaitingApproval is a revision that waits for a person to agree.
	KindAwaitingApproval Kind = "AwaitingApproval"
	// KindPaused is a rollout that waits for a person to look.
	KindPaused Kind = "Paused"
	// KindPromoted is a revision that serves all customers.
	KindPromoted Kind = "Promoted"
	// KindFailed is a revision that failed or was rolled back.
	KindFailed Kind = "Failed"
)

// Notice is one thing to tell. It holds no secret.
type Notice struct {
	// ID is the same however often it is delivered.
	ID string `json:"id"`
	// Kind of the notice.
	Kind Kind `json:"kind"`
	// Namespace and Stack that it is about.
	Namespace string `json:"namespace"`
	Stack     string `json:"stack"`
	// Revision and Version that are rolled out.
	Revision string `json:"revision"`
	Version  string `json:"version"`
	// Reason in a sentence, empty for none.
	Reason string `json:"reason,omitempty"`
	// At is when it happened.
	At time.Time `json:"at"`
}

const (
	// maxWaiting is how many notices wait for one receiver; older ones are dropped.
	maxWaiting = 8
	// maxTries is how often one notice is tried, in about two hours.
	maxTries = 20

	firstRetry = 10 * time.Second
	lastRetry  = 10 * time.Minute
)

// Mailbox is what one receiver is to be told.
type Mailbox struct {
	// Receiver is its name in the spec.
	Receiver string `json:"receiver"`
	// Waiting notices, oldest first.
	Waiting []Notice `json:"waiting,omitempty"`
	// Alarmed says that it was told of a failure and of no success since.
	Alarmed bool `json:"alarmed,omitempty"`
	// Tries of the oldest notice that failed.
	Tries int `json:"tries,omitempty"`
	// RetryAt is when it is tried again.
	RetryAt time.Time `json:"retryAt,omitzero"`
	// SentAt is when it was told something last.
	SentAt time.Time `json:"sentAt,omitzero"`
	// LastError of a try, empty after one that succeeded.
	LastError string `json:"lastError,omitempty"`
}

// Put adds a notice, once. Of too many the oldest is dropped: who was away for so
// long needs the newest.
func (m Mailbox) Put(n Notice) Mailbox {
	if slices.ContainsFunc(m.Waiting, func(old Notice) bool { return old.ID == n.ID }) {
		return m
	}
	m.Waiting = append(slices.Clone(m.Waiting), n)
	if len(m.Waiting) > maxWaiting {
		m.Waiting = m.Waiting[len(m.Waiting)-maxWaiting:]
		m.Tries, m.RetryAt, m.LastError = 0, time.Time{}, "notices were dropped: too many waited"
	}
	return m
}

// Due is the notice whose turn it is at the time now.
func (m Mailbox) Due(now time.Time) (Notice, bool) {
	if len(m.Waiting) == 0 || now.Before(m.RetryAt) {
		return Notice{}, false
	}
	return m.Waiting[0], true
}

// Settle is the mailbox after a try of its oldest notice; problem is empty when it
// was delivered. A notice that was tried too often is given up.
func (m Mailbox) Settle(id, problem string, now time.Time) Mailbox {
	if len(m.Waiting) == 0 || m.Waiting[0].ID != id {
		return m // it was dropped meanwhile
	}
	if problem == "" {
		switch m.Waiting[0].Kind {
		case KindFailed:
			m.Alarmed = true
		case KindPromoted:
			m.Alarmed = false
		case KindStarted, KindAwaitingApproval, KindPaused:
		}
		m.Waiting, m.Tries, m.RetryAt, m.SentAt, m.LastError = slices.Clone(m.Waiting[1:]), 0, time.Time{}, now, ""
		return m
	}
	m.Tries++
	m.LastError = problem
	wait := firstRetry
	for range min(m.Tries-1, 10) {
		wait = min(wait*2, lastRetry)
	}
	m.RetryAt = now.Add(wait)
	if m.Tries >= maxTries {
		m.Waiting, m.Tries = slices.Clone(m.Waiting[1:]), 0
		m.LastError = "given up: " + problem
	}
	return m
}

// WillAlarm says whether it was told, or is about to be told, of a failure that no
// success followed.
func (m Mailbox) WillAlarm() bool {
	alarmed := m.Alarmed
	for _, n := range m.Waiting {
		alarmed = n.Kind == KindFailed || (alarmed && n.Kind != KindPromoted)
	}
	return alarmed
}
