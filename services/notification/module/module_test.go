package module

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/notification/sender"
	"github.com/commercestack/commercestack/services/notification/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func newConfig(t *testing.T, arguments ...string) Config {
	t.Helper()
	var config struct {
		Notification Config `embed:"" prefix:"notification-"`
	}
	parser, err := kong.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return config.Notification
}

func TestProviderChoice(t *testing.T) {
	t.Parallel()
	capture := store.NewCapture(pgtest.New(t, "notification", Migrations), time.Now)
	with := func(change func(*Config)) Config {
		config := newConfig(t)
		change(&config)
		return config
	}
	for name, test := range map[string]struct {
		config      Config
		development bool
		want        any
		wantErr     string
	}{
		"development":            {newConfig(t), true, capture, ""},
		"nothing configured":     {newConfig(t), false, nil, "set SENDGRID_API_KEY or COMMERCE_NOTIFICATION_SMTP_ADDRESS"},
		"a key":                  {with(func(c *Config) { c.SendGridKey = "k" }), false, &sender.SendGrid{}, ""},
		"a key in development":   {with(func(c *Config) { c.SendGridKey = "k" }), true, &sender.SendGrid{}, ""},
		"a mail server":          {newConfig(t, "--notification-smtp-address=mail.example.com:587"), false, &sender.SMTP{}, ""},
		"a wrong mail server":    {newConfig(t, "--notification-smtp-address=mail.example.com"), false, nil, "host:port"},
		"sendgrid without a key": {newConfig(t, "--notification-provider=sendgrid"), true, nil, "SENDGRID_API_KEY"},
		"capture in production":  {newConfig(t, "--notification-provider=capture"), false, nil, "development only"},
		"smtp by name":           {newConfig(t, "--notification-provider=smtp", "--notification-smtp-address=mail:25", "--notification-smtp-tls=none"), false, &sender.SMTP{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.config.sender(component.Env{Development: test.development}, capture)
			switch {
			case test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)):
				t.Errorf("%v", err)
			case test.wantErr == "" && (err != nil || kind(got) != kind(test.want)):
				t.Errorf("%T (%v)", got, err)
			}
		})
	}
}

func kind(v any) string {
	switch v.(type) {
	case *sender.SendGrid:
		return "sendgrid"
	case *sender.SMTP:
		return "smtp"
	case *store.Capture:
		return "capture"
	default:
		return "none"
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "notification", Migrations: Migrations},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	db := database.DB(t, "notification")
	logger := slog.New(slog.DiscardHandler)
	events, err := postgresbus.New(t.Context(), postgresbus.Config{DB: db, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	env := component.Env{
		Name: "notification", Logger: logger, DB: db, Bus: events, Keyring: ring, Registry: prometheus.NewRegistry(), Now: time.Now, Development: true,
	}
	built, err := New(t.Context(), newConfig(t), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := built.Ready(t.Context()); err != nil || len(built.Work) != 1 || built.Routes["GET /dev/mail"] == nil {
		t.Errorf("%+v (%v)", built, err)
	}
	if _, err := New(t.Context(), newConfig(t), env); err == nil {
		t.Error("two of the kind in one process count together")
	}
	env.Registry, env.Development = prometheus.NewRegistry(), false
	if _, err := New(t.Context(), newConfig(t), env); err == nil || !strings.Contains(err.Error(), "no way to send mail") {
		t.Errorf("production without a provider: %v", err)
	}
	config := newConfig(t, "--notification-smtp-address=mail.example.com:587")
	env.Registry = prometheus.NewRegistry()
	if _, err := New(t.Context(), config, env); err == nil {
		t.Error("a second subscription under the same name in one process")
	}
	db.Close()
	if err := built.Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
}
