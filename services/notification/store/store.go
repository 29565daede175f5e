// Package store keeps mails in PostgreSQL, with addresses and parameters encrypted.
package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	notificationent "github.com/commercestack/commercestack/ent/notification"
	"github.com/commercestack/commercestack/ent/notification/mail"
	"github.com/commercestack/commercestack/ent/notification/predicate"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/notification"
)

// Store implements notification.Store.
type Store struct {
	db     *postgres.DB
	client *notificationent.Client
	ring   *crypto.Keyring
}

// New returns a store over the component's schema.
func New(db *postgres.DB, ring *crypto.Keyring) *Store {
	return &Store{db: db, client: notificationent.NewClient(notificationent.Driver(db.Driver())), ring: ring}
}

// Enqueue implements notification.Store.
func (s *Store) Enqueue(ctx context.Context, m notification.Mail) (notification.Mail, error) {
	if err := s.insert(ctx, s.client, m); err != nil {
		return notification.Mail{}, err
	}
	row, err := s.client.Mail.Query().Where(mail.IdempotencyKeyEQ(m.IdempotencyKey)).Only(ctx)
	if err != nil {
		return notification.Mail{}, postgres.Fault(err)
	}
	return s.fromRow(row), nil
}

// EnqueueOnce implements notification.Store: the mail and the event's id commit together.
func (s *Store) EnqueueOnce(ctx context.Context, subscriber, eventID string, m *notification.Mail) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		fresh, err := inbox.Once(ctx, tx, subscriber, eventID)
		if err != nil || !fresh || m == nil {
			return err
		}
		return s.insert(ctx, notificationent.NewClient(notificationent.Driver(tx.Driver())), *m)
	})
}

// insert stores a mail unless its idempotency key is taken.
func (s *Store) insert(ctx context.Context, client *notificationent.Client, m notification.Mail) error {
	to, params, err := s.seal(m)
	if err != nil {
		return err
	}
	err = client.Mail.Create().SetID(m.ID).SetIdempotencyKey(m.IdempotencyKey).
		SetRecipientHash(hashAddress(m.To)).SetRecipientSealed(to).SetParamsSealed(params).
		SetTemplate(m.Template).SetTemplateVersion(m.TemplateVersion).SetLocale(m.Locale).
		SetStatus(string(m.Status)).SetAttempts(m.Attempts).SetNextAttemptTime(m.NextAttemptTime).
		SetOrderID(m.OrderID).SetUserID(m.UserID).SetCreateTime(m.CreateTime).
		OnConflict(entsql.ConflictColumns(mail.FieldIdempotencyKey), entsql.DoNothing()).Exec(ctx)
	if err != nil && !isNoRows(err) {
		return postgres.Fault(err)
	}
	return nil
}

// claimSQL leases due rows. SKIP LOCKED lets several workers claim at once; the
// lease makes a row of a dead worker due again.
const claimSQL = `
UPDATE mail SET lease_until = now() + make_interval(secs => $2)
WHERE id IN (
  SELECT id FROM mail
  WHERE status = 'QUEUED' AND next_attempt_time <= now() AND (lease_until IS NULL OR lease_until < now())
  ORDER BY next_attempt_time LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id`

// Claim implements notification.Store.
func (s *Store) Claim(ctx context.Context, limit int, lease time.Duration) ([]notification.Mail, error) {
	rows, err := s.db.Pool().Query(ctx, claimSQL, limit, lease.Seconds())
	if err != nil {
		return nil, postgres.Fault(err)
	}
	defer rows.Close()
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, postgres.Fault(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, postgres.Fault(err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := s.client.Mail.Query().Where(mail.IDIn(ids...)).Order(mail.ByNextAttemptTime()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return s.fromRows(found), nil
}

// Finish implements notification.Store. A mail about an order that was sent is
// told to the order's history in the same transaction.
func (s *Store) Finish(ctx context.Context, m notification.Mail) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		client := notificationent.NewClient(notificationent.Driver(tx.Driver()))
		update := client.Mail.Update().Where(mail.IDEQ(m.ID), mail.StatusEQ(string(notification.StatusQueued))).
			SetStatus(string(m.Status)).SetAttempts(m.Attempts).SetLastError(m.LastError).
			SetNextAttemptTime(m.NextAttemptTime).SetProviderReference(m.ProviderReference).ClearLeaseUntil()
		if m.Status == notification.StatusSent {
			update.SetSendTime(m.SendTime)
		}
		changed, err := update.Save(ctx)
		if err != nil || changed == 0 || m.Status != notification.StatusSent || m.OrderID == "" {
			return err
		}
		return outbox.Write(ctx, tx, event.New("order/"+m.OrderID, &eventv1.MailSent{
			MailId: m.ID.String(), Template: m.Template, OrderId: m.OrderID, UserId: m.UserID,
		}))
	})
}

// Get implements notification.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (notification.Mail, error) {
	row, err := s.client.Mail.Get(ctx, id)
	if notificationent.IsNotFound(err) {
		return notification.Mail{}, fault.NotFound("mail", id.String())
	}
	if err != nil {
		return notification.Mail{}, postgres.Fault(err)
	}
	return s.fromRow(row), nil
}

// List implements notification.Store.
func (s *Store) List(ctx context.Context, filter notification.Filter) ([]notification.Mail, error) {
	var where []predicate.Mail
	if filter.Status != "" {
		where = append(where, mail.StatusEQ(string(filter.Status)))
	}
	if filter.To != "" {
		where = append(where, mail.RecipientHashEQ(hashAddress(filter.To)))
	}
	if !filter.AfterTime.IsZero() {
		where = append(where, mail.Or(mail.CreateTimeLT(filter.AfterTime),
			mail.And(mail.CreateTimeEQ(filter.AfterTime), mail.IDLT(filter.AfterID))))
	}
	rows, err := s.client.Mail.Query().Where(where...).
		Order(mail.ByCreateTime(entsql.OrderDesc()), mail.ByID(entsql.OrderDesc())).Limit(filter.Limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return s.fromRows(rows), nil
}

// Redrive implements notification.Store. A mail that was erased has nobody to go to and stays DEAD.
func (s *Store) Redrive(ctx context.Context, id uuid.UUID, now time.Time) (notification.Mail, error) {
	changed, err := s.client.Mail.Update().Where(mail.IDEQ(id), mail.StatusEQ(string(notification.StatusDead)), mail.RecipientHashNEQ("")).
		SetStatus(string(notification.StatusQueued)).SetAttempts(0).SetNextAttemptTime(now).ClearLeaseUntil().Save(ctx)
	if err != nil {
		return notification.Mail{}, postgres.Fault(err)
	}
	found, err := s.Get(ctx, id)
	if err == nil && changed == 0 {
		return notification.Mail{}, notification.ErrNotDead
	}
	return found, err
}

// Erase implements notification.Store. The rows stay, so that a repeated wish
// to send them still finds its idempotency key. Mails about the account itself
// (links to verify an address or reset a password) carry no user id; they are
// found by the address of those that do.
func (s *Store) Erase(ctx context.Context, userID string) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		client := notificationent.NewClient(notificationent.Driver(tx.Driver()))
		hashes, err := client.Mail.Query().Where(mail.UserIDEQ(userID), mail.RecipientHashNEQ("")).
			Unique(true).Select(mail.FieldRecipientHash).Strings(ctx)
		if err != nil {
			return err
		}
		theirs := mail.Or(mail.UserIDEQ(userID), mail.And(mail.UserIDEQ(""), mail.OrderIDEQ(""), mail.RecipientHashIn(hashes...)))
		// What is still queued can no longer be sent to anybody.
		if err := client.Mail.Update().Where(theirs, mail.StatusEQ(string(notification.StatusQueued))).
			SetStatus(string(notification.StatusDead)).SetLastError("the account was erased").Exec(ctx); err != nil {
			return err
		}
		rows, err := client.Mail.Query().Where(theirs).Select(mail.FieldID).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			to, params, err := s.seal(notification.Mail{ID: row.ID})
			if err != nil {
				return err
			}
			if err := client.Mail.UpdateOneID(row.ID).SetRecipientHash("").SetRecipientSealed(to).SetParamsSealed(params).Exec(ctx); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM captured_mail WHERE id = $1", row.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// seal encrypts what could identify or impersonate a person, bound to the row.
func (s *Store) seal(m notification.Mail) (to, params []byte, err error) {
	encoded, err := json.Marshal(m.Params)
	if err != nil {
		return nil, nil, err
	}
	if to, err = s.ring.Seal([]byte(m.To), purpose("to", m.ID)); err != nil {
		return nil, nil, err
	}
	params, err = s.ring.Seal(encoded, purpose("params", m.ID))
	return to, params, err
}

func purpose(column string, id uuid.UUID) []byte {
	return []byte("notification/mail/" + column + "/" + id.String())
}

func (s *Store) fromRows(rows []*notificationent.Mail) []notification.Mail {
	mails := make([]notification.Mail, 0, len(rows))
	for _, row := range rows {
		mails = append(mails, s.fromRow(row))
	}
	return mails
}

func (s *Store) fromRow(row *notificationent.Mail) notification.Mail {
	m := notification.Mail{
		ID: row.ID, IdempotencyKey: row.IdempotencyKey, Template: row.Template, TemplateVersion: row.TemplateVersion,
		Locale: row.Locale, Status: notification.Status(row.Status), Attempts: row.Attempts, NextAttemptTime: row.NextAttemptTime,
		LastError: row.LastError, ProviderReference: row.ProviderReference, OrderID: row.OrderID, UserID: row.UserID, CreateTime: row.CreateTime,
	}
	if row.SendTime != nil {
		m.SendTime = *row.SendTime
	}
	m.Unreadable = s.open(row, &m)
	return m
}

// open decrypts what seal encrypted.
func (s *Store) open(row *notificationent.Mail, into *notification.Mail) error {
	to, err := s.ring.Open(row.RecipientSealed, purpose("to", row.ID))
	if err != nil {
		return fmt.Errorf("the recipient cannot be decrypted: %w", err)
	}
	encoded, err := s.ring.Open(row.ParamsSealed, purpose("params", row.ID))
	if err != nil {
		return fmt.Errorf("the parameters cannot be decrypted: %w", err)
	}
	into.To = string(to)
	return json.Unmarshal(encoded, &into.Params)
}

// hashAddress finds mails of an address without storing it in clear.
func hashAddress(address string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(address)))
	return hex.EncodeToString(sum[:])
}

// isNoRows holds for an insert that ON CONFLICT DO NOTHING swallowed; Ent wraps it as text.
func isNoRows(err error) bool {
	return err != nil && (errors.Is(err, sql.ErrNoRows) || strings.Contains(err.Error(), sql.ErrNoRows.Error()))
}
