// Package upstream calls other components for auth.
package upstream

import (
	"context"

	"connectrpc.com/connect/v2"

	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/notification/v1/notificationv1connect"
	"github.com/commercestack/commercestack/services/auth"
)

// Mailer hands mails to the notification component.
type Mailer struct {
	notification notificationv1connect.NotificationServiceClient
}

// NewMailer returns a Mailer that calls through the client.
func NewMailer(client *connect.Client) *Mailer {
	return &Mailer{notification: notificationv1connect.NewNotificationServiceClient(client)}
}

// Send queues a mail, once for each key.
func (m *Mailer) Send(ctx context.Context, mail auth.Mail) error {
	_, err := m.notification.SendMail(ctx, &notificationv1.SendMailRequest{
		To: mail.To, Template: mail.Template, Params: mail.Params, IdempotencyKey: mail.Key,
	})
	return err
}
