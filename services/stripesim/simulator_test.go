package stripesim_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/stripesim"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	ok := stripesim.Config{Pool: new(pgxpool.Pool), SecretKey: "sk_test_x"}
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*stripesim.Config)
		field  string
	}{
		"no pool":         {func(c *stripesim.Config) { c.Pool = nil }, "Pool"},
		"live key":        {func(c *stripesim.Config) { c.SecretKey = "sk_live_secret" }, "SecretKey"},
		"odd webhook URL": {func(c *stripesim.Config) { c.WebhookURL, c.WebhookSecrets = "ftp://x", []string{"s"} }, "WebhookURL"},
		"odd public URL":  {func(c *stripesim.Config) { c.PublicURL = "example.com" }, "PublicURL"},
		"no secret":       {func(c *stripesim.Config) { c.WebhookURL = "http://x/y" }, "WebhookSecrets"},
		"empty secret":    {func(c *stripesim.Config) { c.WebhookSecrets = []string{"s", ""} }, "WebhookSecrets[1]"},
	}
	for name, tt := range tests {
		config := ok
		tt.change(&config)
		err := config.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.field) || strings.Contains(err.Error(), "sk_live_secret") {
			t.Errorf("%s: %v, want an error about %s", name, err, tt.field)
		}
		if _, err := stripesim.New(config); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

func TestNewNeedsADatabase(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := stripesim.New(stripesim.Config{Pool: pool, SecretKey: testKey}); err == nil {
		t.Error("New succeeded without a database")
	}
}

func TestProcessesMayStartTogether(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.NewDatabase(t).AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := stripesim.New(stripesim.Config{Pool: pool, SecretKey: testKey}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// A role that owns a ready schema needs no right to create one.
func TestMigrateAsOwnerOfAReadySchema(t *testing.T) {
	t.Parallel()
	admin := pgtest.NewDatabase(t).AdminURL()
	pool, err := pgxpool.New(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `DO $$ BEGIN CREATE ROLE stripesim_plain; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
		CREATE SCHEMA stripesim AUTHORIZATION stripesim_plain`); err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(admin)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["role"] = "stripesim_plain"
	plain, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	b := start(t, stripesim.Config{Pool: plain, SecretKey: testKey}, nil)
	b.pay("pm_card_visa") // no webhook is configured: no delivery, but events
	if n := b.countRows(`SELECT count(*) FROM stripesim.delivery`); n != 0 {
		t.Errorf("%d deliveries without a receiver", n)
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.event`); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}
