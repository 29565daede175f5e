package store

import (
	"context"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	notificationent "github.com/commercestack/commercestack/ent/notification"
	"github.com/commercestack/commercestack/ent/notification/capturedmail"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/notification"
)

// Captured is a mail that development kept instead of sending.
type Captured struct {
	ID                      uuid.UUID
	To, Subject, Text, HTML string
	SendTime                time.Time
}

// Capture implements a notification.Sender that keeps mails for the developer.
type Capture struct {
	client *notificationent.Client
	now    func() time.Time
}

// NewCapture returns a sender over the component's schema.
func NewCapture(db *postgres.DB, now func() time.Time) *Capture {
	return &Capture{client: notificationent.NewClient(notificationent.Driver(db.Driver())), now: now}
}

// Send keeps the message. A second try of the same mail replaces nothing.
func (c *Capture) Send(ctx context.Context, m notification.Message) (string, error) {
	err := c.client.CapturedMail.Create().SetID(m.ID).SetRecipient(strings.ToLower(m.To)).SetSubject(m.Subject).
		SetText(m.Text).SetHTML(m.HTML).SetCreateTime(c.now()).
		OnConflict(entsql.ConflictColumns(capturedmail.FieldID), entsql.DoNothing()).Exec(ctx)
	if err != nil && !isNoRows(err) {
		return "", postgres.Fault(err)
	}
	return "captured", nil
}

// List returns captured mails, newest first; an empty address means everybody's.
func (c *Capture) List(ctx context.Context, to string, limit int) ([]Captured, error) {
	query := c.client.CapturedMail.Query()
	if to != "" {
		query.Where(capturedmail.RecipientEQ(strings.ToLower(to)))
	}
	rows, err := query.Order(capturedmail.ByCreateTime(entsql.OrderDesc()), capturedmail.ByID(entsql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	captured := make([]Captured, 0, len(rows))
	for _, row := range rows {
		captured = append(captured, Captured{
			ID: row.ID, To: row.Recipient, Subject: row.Subject, Text: row.Text, HTML: row.HTML, SendTime: row.CreateTime,
		})
	}
	return captured, nil
}
