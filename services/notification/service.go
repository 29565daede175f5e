package notification

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Message is a mail as it goes out.
type Message struct {
	// ID makes the Message-ID; it is the same at every try.
	ID                    uuid.UUID
	To                    string
	Subject, Text, HTML   string
	FromName, FromAddress string
}

// Sender hands a message to a provider and returns the provider's reference.
type Sender interface {
	Send(ctx context.Context, message Message) (reference string, err error)
}

// Renderer turns a template and parameters into texts.
type Renderer interface {
	// Latest is the newest version of a template; false means there is none with the name.
	Latest(name string) (version int, ok bool)
	// Render fails when a parameter is missing.
	Render(name string, version int, params map[string]string) (subject, text, html string, err error)
}

// Filter chooses mails of a list.
type Filter struct {
	Status Status
	To     string
	// After is the last mail of the page before; zero starts at the newest.
	AfterTime time.Time
	AfterID   uuid.UUID
	Limit     int
}

// Store keeps mails.
type Store interface {
	// Enqueue stores a mail, or returns the one that has its idempotency key already.
	Enqueue(ctx context.Context, mail Mail) (Mail, error)
	// EnqueueOnce stores a mail for an event, once.
	EnqueueOnce(ctx context.Context, subscriber, eventID string, mail *Mail) error
	// Claim leases due mails to the caller, oldest first, and counts nothing yet.
	Claim(ctx context.Context, limit int, lease time.Duration) ([]Mail, error)
	// Finish records the outcome of a try of a leased mail.
	Finish(ctx context.Context, mail Mail) error
	// Get returns one mail or a NotFound fault.
	Get(ctx context.Context, id uuid.UUID) (Mail, error)
	// List returns mails, newest first.
	List(ctx context.Context, filter Filter) ([]Mail, error)
	// Redrive queues a DEAD mail with fresh tries; ErrNotDead otherwise.
	Redrive(ctx context.Context, id uuid.UUID, now time.Time) (Mail, error)
	// Erase removes the address and the parameters of a user's mails.
	Erase(ctx context.Context, userID string) error
}

// Config of the service.
type Config struct {
	Store    Store
	Sender   Sender
	Renderer Renderer
	// Shop names the shop in texts.
	Shop string
	// FromName and FromAddress are the sender of every mail.
	FromName, FromAddress string
	// PublicURL is the shop's address in links.
	PublicURL string
	Logger    *slog.Logger
	Now       func() time.Time
	// Sent is told the outcome of every try: "sent", "failed" or "dead".
	Sent func(outcome string)
}

// Service queues and sends mails.
type Service struct {
	Config

	wake chan struct{}
}

// New returns a service.
func New(config Config) *Service {
	if config.Sent == nil {
		config.Sent = func(string) {}
	}
	return &Service{Config: config, wake: make(chan struct{}, 1)}
}

// Wake makes Deliver look at the queue now.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
