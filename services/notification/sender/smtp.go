package sender

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/commercestack/commercestack/services/notification"
)

// SMTPConfig says how to reach a mail server.
type SMTPConfig struct {
	// Address is host:port.
	Address string
	// Username and Password log in; both empty sends without.
	Username, Password string
	// TLS is "starttls" (refuse without), "implicit" or "none".
	TLS string
	// Config verifies the server; nil means the system's certificates.
	Config *tls.Config
}

// SMTP sends by SMTP, with one connection for each mail.
type SMTP struct {
	client *mail.Client
}

// NewSMTP returns a sender, or says which setting is wrong.
func NewSMTP(config SMTPConfig) (*SMTP, error) {
	host, portText, err := net.SplitHostPort(config.Address)
	if err != nil {
		return nil, fmt.Errorf("the SMTP address %q is not host:port", config.Address)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("the SMTP port %q is not a number", portText)
	}
	options := []mail.Option{mail.WithPort(port)}
	switch config.TLS {
	case "starttls":
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case "implicit":
		options = append(options, mail.WithSSL())
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		return nil, fmt.Errorf("the SMTP TLS mode %q is none of starttls, implicit, none", config.TLS)
	}
	if config.Config != nil {
		options = append(options, mail.WithTLSConfig(config.Config))
	}
	if config.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(config.Username), mail.WithPassword(config.Password))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, err
	}
	return &SMTP{client: client}, nil
}

// Send implements notification.Sender.
func (s *SMTP) Send(ctx context.Context, m notification.Message) (string, error) {
	message := mail.NewMsg()
	if err := message.FromFormat(m.FromName, m.FromAddress); err != nil {
		return "", fmt.Errorf("the sender's address: %w", err)
	}
	if err := message.To(m.To); err != nil {
		return "", fmt.Errorf("the recipient's address is refused")
	}
	message.Subject(m.Subject)
	id := messageID(m)
	message.SetMessageIDWithValue(strings.Trim(id, "<>"))
	message.SetDate()
	message.SetBodyString(mail.TypeTextPlain, m.Text)
	message.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	if err := s.client.DialAndSendWithContext(ctx, message); err != nil {
		return "", fmt.Errorf("smtp: %w", err)
	}
	return id, nil
}

// messageID is the same at every try of a mail, so that a duplicate can be told.
func messageID(m notification.Message) string {
	domain := "localhost"
	if _, after, ok := strings.Cut(m.FromAddress, "@"); ok {
		domain = after
	}
	return "<" + m.ID.String() + "@" + domain + ">"
}
