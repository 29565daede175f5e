// Package module starts the notification component.
package module

import (
	"errors"
	"net/http"
	"time"

	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/services/notification"
	"github.com/commercestack/commercestack/services/notification/sender"
	"github.com/commercestack/commercestack/services/notification/store"
)

// Config of the component. Secrets come by environment, never by flag.
type Config struct {
	Provider     string `default:"auto" enum:"auto,sendgrid,smtp,capture" env:"COMMERCE_NOTIFICATION_PROVIDER" help:"How mails go out: ${enum}. auto takes what is configured."`
	FromAddress  string `default:"shop@example.com" env:"COMMERCE_NOTIFICATION_FROM_ADDRESS" help:"Sender's address."`
	FromName     string `default:"CommerceStack" env:"COMMERCE_NOTIFICATION_FROM_NAME" help:"Sender's name; also the shop's name in texts."`
	SendGridKey  string `env:"SENDGRID_API_KEY,COMMERCE_NOTIFICATION_SENDGRID_KEY" hidden:"" help:"SendGrid's key."`
	SendGridURL  string `default:"https://api.sendgrid.com" name:"sendgrid-url" env:"COMMERCE_NOTIFICATION_SENDGRID_URL" help:"SendGrid's API, or a server like it."`
	SMTPAddress  string `env:"COMMERCE_NOTIFICATION_SMTP_ADDRESS" help:"Mail server as host:port."`
	SMTPUsername string `env:"COMMERCE_NOTIFICATION_SMTP_USERNAME" help:"Login at the mail server."`
	SMTPPassword string `env:"COMMERCE_NOTIFICATION_SMTP_PASSWORD" hidden:"" help:"Password at the mail server."`
	SMTPTLS      string `default:"starttls" enum:"starttls,implicit,none" name:"smtp-tls" env:"COMMERCE_NOTIFICATION_SMTP_TLS" help:"TLS to the mail server: ${enum}."`
}

// errNoProvider says what to set.
var errNoProvider = errors.New("no way to send mail is configured: set SENDGRID_API_KEY or COMMERCE_NOTIFICATION_SMTP_ADDRESS " +
	"(in development mails are captured and shown at /dev/mail)")

const sendGridTimeout = 20 * time.Second

// sender chooses how mails go out.
func (c Config) sender(env component.Env, capture *store.Capture) (notification.Sender, error) {
	provider := c.Provider
	if provider == "auto" || provider == "" {
		switch {
		case c.SendGridKey != "":
			provider = "sendgrid"
		case c.SMTPAddress != "":
			provider = "smtp"
		case env.Development:
			provider = "capture"
		default:
			return nil, errNoProvider
		}
	}
	switch provider {
	case "sendgrid":
		if c.SendGridKey == "" {
			return nil, errors.New("the provider sendgrid needs SENDGRID_API_KEY")
		}
		return sender.NewSendGrid(c.SendGridKey, c.SendGridURL, &http.Client{Timeout: sendGridTimeout}), nil
	case "smtp":
		return sender.NewSMTP(sender.SMTPConfig{
			Address: c.SMTPAddress, Username: c.SMTPUsername, Password: c.SMTPPassword, TLS: c.SMTPTLS,
		})
	default:
		if !env.Development {
			return nil, errors.New("mails are captured in development only")
		}
		return capture, nil
	}
}
