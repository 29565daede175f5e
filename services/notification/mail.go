package notification

import (
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Status of a mail.
type Status string

// The states of a mail.
const (
	StatusQueued Status = "QUEUED"
	StatusSent   Status = "SENT"
	StatusDead   Status = "DEAD"
)

// MaxAttempts is how often a mail is tried before it is DEAD.
const MaxAttempts = 3

const (
	firstBackoff = 30 * time.Second
	backoffRise  = 10
	maxErrorText = 500
)

// ErrNotDead says that only a DEAD mail can be redriven.
var ErrNotDead = fault.New(fault.KindConflict, "MAIL_NOT_DEAD", "only a mail whose tries are used up can be sent again")

// Mail is one message to one person.
type Mail struct {
	ID             uuid.UUID
	IdempotencyKey string
	To             string
	Template       string
	// TemplateVersion keeps the text of a mail the same from its first to its last try.
	TemplateVersion int
	Params          map[string]string
	Locale          string
	Status          Status
	Attempts        int
	NextAttemptTime time.Time
	LastError       string
	// ProviderReference is the provider's id of a sent mail.
	ProviderReference string
	// OrderID and UserID say what the mail is about; empty when nothing.
	OrderID, UserID string
	CreateTime      time.Time
	SendTime        time.Time
	// Unreadable says why the address and parameters of a stored mail could not
	// be decrypted; nil when they could. Such a mail uses up its tries like any
	// other that cannot be sent, and blocks none behind it.
	Unreadable error
}

// Failed is the mail after a try that failed: QUEUED again with a pause that
// grows, or DEAD after the third.
func (m Mail) Failed(now time.Time, cause error) Mail {
	m.Attempts++
	m.LastError = shorten(withoutAddress(cause.Error(), m.To))
	if m.Attempts >= MaxAttempts {
		m.Attempts, m.Status = MaxAttempts, StatusDead
		return m
	}
	pause := firstBackoff
	for range m.Attempts - 1 {
		pause *= backoffRise
	}
	m.NextAttemptTime = now.Add(pause + rand.N(pause/4)) //nolint:gosec // jitter guards nothing
	return m
}

// Delivered is the mail after a provider took it.
func (m Mail) Delivered(now time.Time, reference string) Mail {
	m.Attempts = min(m.Attempts+1, MaxAttempts)
	m.Status, m.SendTime, m.ProviderReference, m.LastError = StatusSent, now, reference, ""
	return m
}

// withoutAddress keeps the recipient, whom mail servers repeat in their answers,
// out of what is stored and logged in clear.
func withoutAddress(text, address string) string {
	if address == "" {
		return text
	}
	return regexp.MustCompile(`(?i)`+regexp.QuoteMeta(address)).ReplaceAllLiteralString(text, "the recipient")
}

func shorten(text string) string {
	runes := []rune(text)
	if len(runes) > maxErrorText {
		return string(runes[:maxErrorText]) + "…"
	}
	return text
}
