package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// upCommand runs every component in one process, with PostgreSQL as a child
// process and Redis embedded unless addresses are given.
type upCommand struct {
	Config `embed:""`

	Listen     string `default:"127.0.0.1:8080" env:"COMMERCE_LISTEN" help:"Address of the shop."`
	Data       string `default:".data" env:"COMMERCE_DATA" help:"Folder that keeps everything between runs."`
	AdminEmail string `default:"admin@example.com" env:"COMMERCE_ADMIN_EMAIL" help:"Login of the administrator."`
	// AdminPassword is a flag because the contract has it; the environment is the better place.
	AdminPassword string `env:"COMMERCE_ADMIN_PASSWORD" help:"Password of the administrator. Without it one is generated, kept in the data folder and printed."`
	Demo          bool   `default:"true" negatable:"" env:"COMMERCE_DEMO" help:"Load the demo catalog into an empty shop."`
}

// progress prints one line per step, with its time, so that a person sees what takes long.
type progress struct {
	out     io.Writer
	started time.Time
	last    time.Time
}

func newProgress(out io.Writer) *progress {
	now := time.Now()
	return &progress{out: out, started: now, last: now}
}

func (p *progress) done(step string) {
	now := time.Now()
	_, _ = fmt.Fprintf(p.out, "  %-42s %5.1f s\n", step, now.Sub(p.last).Seconds())
	p.last = now
}

// Run implements the command.
func (c *upCommand) Run(ctx context.Context, s streams) error {
	steps := newProgress(s.out)
	if _, err := fmt.Fprintln(s.out, "CommerceStack is starting"); err != nil {
		return err
	}
	h, err := c.open(ctx, s, steps)
	if err != nil {
		return err
	}
	defer h.close()
	p, err := newProcess(ctx, &c.Config, ComponentNames(), nil, h.resources)
	if err != nil {
		return err
	}
	if err := p.addListeners(c.Listen, "", c.MetricsListen); err != nil {
		p.close()
		return err
	}
	steps.done("components built")
	finished := make(chan error, 1)
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { finished <- p.run(runCtx) }()
	if err := c.furnish(runCtx, s, p, steps); err != nil && ctx.Err() == nil {
		stop()
		return errors.Join(err, <-finished)
	}
	err = <-finished
	if ctx.Err() != nil {
		_, _ = fmt.Fprintln(s.out, "\nCommerceStack has stopped; its data is kept in "+c.Data)
	}
	return err
}

// furnish does what a fresh shop needs before a person can use it.
func (c *upCommand) furnish(ctx context.Context, s streams, p *process, steps *progress) error {
	password, err := c.adminPassword()
	if err != nil {
		return err
	}
	if err := ensureAdmin(ctx, p, c.Auth, c.AdminEmail, password, c.AdminPassword == ""); err != nil {
		return fmt.Errorf("create the administrator: %w", err)
	}
	steps.done("administrator ready")
	if c.Demo {
		loaded, err := loadDemo(ctx, p)
		if err != nil {
			return fmt.Errorf("load the demo catalog: %w", err)
		}
		if loaded > 0 {
			steps.done(fmt.Sprintf("demo catalog loaded (%d products)", loaded))
		}
		go paintDemo(ctx, p)
	}
	// Migrations and the administrator's password hash needed memory that serving does not.
	debug.FreeOSMemory()
	return c.banner(s.out, steps, password)
}

// host is what up keeps open beside the components.
type host struct {
	resources resources
	closers   []func()
}

func (h *host) close() {
	for _, closer := range slices.Backward(h.closers) {
		closer()
	}
}

// open starts or connects what the components need.
func (c *upCommand) open(ctx context.Context, s streams, steps *progress) (_ *host, err error) {
	h := &host{}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return nil, err
	}
	if err := c.lockData(h); err != nil {
		return nil, err
	}
	c.Development = true
	if err := c.settleListen(); err != nil {
		return nil, err
	}
	h.resources.logger = telemetry.NewLogger(s.err, c.LogLevel)
	h.resources.registry = telemetry.NewRegistry()
	if c.IdentityKeysFile, c.EncryptionKeysFile, err = ensureKeys(filepath.Join(c.Data, "keys")); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if h.resources.keys, err = loadKeys(c.IdentityKeysFile, c.EncryptionKeysFile); err != nil {
		return nil, err
	}
	adminURL, err := c.openPostgres(ctx, h, steps)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, h, adminURL); err != nil {
		return nil, err
	}
	steps.done("database migrated")
	if err := c.openRedis(h, steps); err != nil {
		return nil, err
	}
	if c.ObjectsURL == "" {
		c.ObjectsURL = "file://" + filepath.Join(c.Data, "objects")
		if err := os.MkdirAll(filepath.Join(c.Data, "objects"), folderMode); err != nil {
			return nil, err
		}
	}
	if h.resources.objects, err = objectstore.Open(ctx, c.ObjectsURL); err != nil {
		return nil, fmt.Errorf("object storage: %w", err)
	}
	h.closers = append(h.closers, func() { _ = h.resources.objects.Close() })
	return h, c.openSimulator(ctx, h, adminURL)
}

// lockData makes sure that one program uses the folder.
func (c *upCommand) lockData(h *host) error {
	if err := os.MkdirAll(c.Data, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user and must reach its own folder inside
		return err
	}
	file, err := os.OpenFile(filepath.Join(c.Data, "lock"), os.O_CREATE|os.O_RDWR, secretMode)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return fmt.Errorf("the data folder %s is in use by another commerce up", c.Data)
	}
	h.closers = append(h.closers, func() { _ = file.Close() })
	return nil
}

// settleListen finds the port before anything needs the public address.
func (c *upCommand) settleListen() error {
	l, err := net.Listen("tcp", c.Listen) //nolint:noctx // it does not wait
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w (choose another address with --listen)", c.Listen, err)
	}
	c.Listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	if c.PublicURL == "" {
		c.PublicURL = "http://" + c.Listen
	}
	return nil
}

func (c *upCommand) openPostgres(ctx context.Context, h *host, steps *progress) (string, error) {
	if c.DatabaseURL != "" {
		return c.DatabaseURL, nil
	}
	server, err := pgserver.Start(ctx, pgserver.Config{DataDir: filepath.Join(c.Data, "postgres"), Logger: h.resources.logger})
	if err != nil {
		return "", fmt.Errorf("start PostgreSQL: %w", err)
	}
	h.closers = append(h.closers, func() {
		stopCtx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if err := server.Stop(stopCtx); err != nil {
			h.resources.logger.ErrorContext(stopCtx, "stop PostgreSQL", slog.Any("error", err))
		}
	})
	steps.done("PostgreSQL started")
	return server.URL("postgres"), nil
}

// prepare migrates, and sets how components log in. Their passwords are kept in
// the data folder.
func (c *upCommand) prepare(ctx context.Context, h *host, adminURL string) error {
	password, err := c.keptSecret("database-password")
	if err != nil {
		return err
	}
	var components []postgres.Component
	for _, entry := range registry {
		if entry.migrations != nil {
			components = append(components, postgres.Component{Name: entry.name, Password: password})
		}
	}
	if err := prepareDatabase(ctx, adminURL, components); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	h.resources.databaseURL = func(component string) (string, error) { return loginURL(adminURL, component, password) }
	return nil
}

// loginURL is the administrator's address with a component's login.
func loginURL(adminURL, component, password string) (string, error) {
	u, err := url.Parse(adminURL)
	if err != nil {
		return "", errors.New("the database address is not a URL")
	}
	u.User = url.UserPassword("commerce_"+component, password)
	return u.String(), nil
}

func (c *upCommand) openRedis(h *host, steps *progress) error {
	if c.RedisURL != "" {
		options, err := redis.ParseURL(c.RedisURL)
		if err != nil {
			return errors.New("the Redis address is not a redis:// URL")
		}
		h.resources.redis, h.resources.sharedLimits = redis.NewClient(options), true
	} else {
		embedded := miniredis.NewMiniRedis()
		if err := embedded.StartAddr("127.0.0.1:0"); err != nil {
			return fmt.Errorf("start the embedded Redis: %w", err)
		}
		h.closers = append(h.closers, embedded.Close)
		h.resources.redis = redis.NewClient(&redis.Options{Addr: embedded.Addr(), Protocol: 2, DisableIdentity: true})
		steps.done("Redis started (embedded)")
	}
	client := h.resources.redis
	h.closers = append(h.closers, func() { _ = client.Close() })
	return nil
}

// adminPassword is the given one, or one that is generated once and kept.
func (c *upCommand) adminPassword() (string, error) {
	if c.AdminPassword != "" {
		return c.AdminPassword, nil
	}
	return c.keptSecret("admin-password")
}

// keptSecret returns a random secret of the data folder, making it the first time.
func (c *upCommand) keptSecret(name string) (string, error) {
	path := filepath.Join(c.Data, "keys", name)
	if err := writeOnce(path, func() ([]byte, error) {
		secret := make([]byte, 18)
		_, err := rand.Read(secret)
		return []byte(base64.RawURLEncoding.EncodeToString(secret) + "\n"), err
	}); err != nil {
		return "", err
	}
	content, err := os.ReadFile(path)
	return trimLine(string(content)), err
}

// banner says what a person can do now.
func (c *upCommand) banner(out io.Writer, steps *progress, password string) error {
	shown := password
	if c.AdminPassword != "" {
		shown = "(as given)"
	}
	_, err := fmt.Fprintf(out, `
CommerceStack is ready after %.1f s

  Shop        %[2]s
  Dashboard   %[2]s/admin    %[3]s  %[4]s
  API         %[2]s/docs
  Mail        %[2]s/dev/mail

  curl '%[2]s/api/v1/products?q=mug&pageSize=2'

Ctrl-C stops it. The data is kept in %[5]s.
`, time.Since(steps.started).Seconds(), c.PublicURL, c.AdminEmail, shown, c.Data)
	return err
}
