// Package sender hands mails to providers: SendGrid by its API, or any server by SMTP.
package sender

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sendgrid/rest"
	"github.com/sendgrid/sendgrid-go"
	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/commercestack/commercestack/services/notification"
)

// SendGrid sends by SendGrid's v3 API.
type SendGrid struct {
	key, host string
	client    *rest.Client
}

// NewSendGrid returns a sender. host is "https://api.sendgrid.com" or a server that answers like it.
func NewSendGrid(key, host string, client *http.Client) *SendGrid {
	return &SendGrid{key: key, host: host, client: &rest.Client{HTTPClient: client}}
}

// Send implements notification.Sender. SendGrid takes a mail with status 202
// and nothing else: taking any 2xx, or refusing 202, loses or repeats mails.
func (s *SendGrid) Send(ctx context.Context, m notification.Message) (string, error) {
	message := mail.NewSingleEmail(mail.NewEmail(m.FromName, m.FromAddress), m.Subject, mail.NewEmail("", m.To), m.Text, m.HTML)
	message.SetHeader("Message-ID", messageID(m))
	message.SetCustomArg("mail_id", m.ID.String())
	request := sendgrid.GetRequest(s.key, "/v3/mail/send", s.host)
	request.Method = rest.Post
	request.Body = mail.GetRequestBody(message)
	response, err := s.client.SendWithContext(ctx, request)
	if err != nil {
		return "", errors.New("sendgrid did not answer")
	}
	if response.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("sendgrid answered %d, not 202", response.StatusCode)
	}
	if ids := response.Headers["X-Message-Id"]; len(ids) > 0 {
		return ids[0], nil
	}
	return "accepted", nil
}
