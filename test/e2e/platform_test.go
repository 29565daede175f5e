package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commercestack/commercestack/internal/app"
	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/test/shop"
)

const (
	adminEmail    = "admin@example.com"
	adminPassword = "the administrator's password"
)

// platform is a running stack in one of the two shapes.
type platform struct {
	shape string
	// guest calls the public address.
	guest *shop.Shop
	// admin is logged in as the administrator.
	admin *shop.Shop
	// simulatorKey opens the Stripe simulator.
	simulatorKey string
	stop         func() error
}

// platforms are started once for all tests of the package.
var platforms []*platform

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(runChild())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "commerce-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Chmod(folder, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	starts := map[string]func(context.Context, string) (*platform, error){"one process": startUp, "a process each": startServe}
	for shape, start := range starts {
		p, err := start(ctx, filepath.Join(folder, strings.ReplaceAll(shape, " ", "-")))
		if err != nil {
			fmt.Fprintf(os.Stderr, "start %s: %v\n", shape, err)
			stopAll()
			return 1
		}
		p.shape = shape
		platforms = append(platforms, p)
	}
	code := m.Run()
	if err := stopAll(); err != nil {
		fmt.Fprintln(os.Stderr, "stop:", err)
		return 1
	}
	return code
}

func stopAll() error {
	var all []error
	for _, p := range platforms {
		all = append(all, p.stop())
	}
	return errors.Join(all...)
}

// eachShape runs a test against both shapes.
func eachShape(t *testing.T, test func(t *testing.T, p *platform)) {
	t.Helper()
	t.Parallel()
	for _, p := range platforms {
		t.Run(p.shape, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// command runs the program with arguments until it is stopped.
type command struct {
	cancel context.CancelFunc
	done   chan error
	out    shop.Output
	err    shop.Output
}

func start(ctx context.Context, args ...string) *command {
	ctx, cancel := context.WithCancel(ctx)
	c := &command{cancel: cancel, done: make(chan error, 1)}
	go func() { c.done <- app.Main(ctx, args, &c.out, &c.err) }()
	return c
}

func (c *command) stop() error {
	c.cancel()
	return <-c.done
}

// failed reports the end of a command that should go on.
func (c *command) failed() error {
	select {
	case err := <-c.done:
		c.done <- err
		return fmt.Errorf("it ended: %w\n%s%s", err, c.out.String(), c.err.String())
	default:
		return nil
	}
}

// startUp is what a person does: commerce up.
func startUp(ctx context.Context, folder string) (*platform, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c := start(ctx, "up", "--listen", listen, "--data", folder, "--admin-email", adminEmail, "--admin-password", adminPassword, "--log-level", "error")
	if err := shop.Eventually(ctx, time.Minute, func() (bool, error) {
		return strings.Contains(c.out.String(), "is ready"), c.failed()
	}); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	key, err := os.ReadFile(filepath.Join(folder, "keys", "stripe-simulator-key"))
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	p, err := ready(ctx, "http://"+listen, c.stop)
	if err == nil {
		p.simulatorKey = "sk_test_" + strings.TrimSpace(string(key))
	}
	return p, err
}

// groups are the processes of the extracted shape.
var groups = [][]string{{"auth"}, {"user", "analytics"}, {"product"}, {"order"}, {"billing"}, {"notification"}, {"admin", "storefront"}, {"gateway"}}

// startServe is what an operator does: migrate, then a process for each component.
func startServe(ctx context.Context, folder string) (*platform, error) {
	var stops []func() error
	stop := func() error {
		var all []error
		for _, stop := range slices.Backward(stops) {
			all = append(all, stop())
		}
		return errors.Join(all...)
	}
	fail := func(err error) (*platform, error) { return nil, errors.Join(err, stop()) }

	server, err := pgserver.StartThrowaway(ctx)
	if err != nil {
		return fail(err)
	}
	stops = append(stops, func() error { return server.Stop(context.Background()) })
	cache := miniredis.NewMiniRedis()
	if err := cache.Start(); err != nil {
		return fail(err)
	}
	stops = append(stops, func() error { cache.Close(); return nil })
	adminURL := server.URL("postgres")
	login := "postgres://commerce_{component}:secret@" + server.Address() + "/postgres?sslmode=disable"
	var out shop.Output
	for _, args := range [][]string{{"keys", folder}, {"migrate", "--admin-url", adminURL, "--database-url", login}} {
		if err := app.Main(ctx, args, &out, &out); err != nil {
			return fail(fmt.Errorf("%s: %w\n%s", args[0], err, out.String()))
		}
	}
	addresses := make(map[string]string)
	for _, name := range append(app.ComponentNames(), "stripesim") {
		if addresses[name], err = freeAddress(); err != nil {
			return fail(err)
		}
	}
	for _, group := range groups {
		for _, name := range group {
			addresses[name] = addresses[group[0]]
		}
	}
	public := "http://" + addresses["gateway"]
	common := []string{
		"--log-level", "error", "--development", "--public-url", public, "--redis-url", "redis://" + cache.Addr(), "--database-url", login,
		"--objects-url", "file://" + folder, "--identity-keys-file", filepath.Join(folder, "identity.keys"),
		"--encryption-keys-file", filepath.Join(folder, "encryption.keys"),
		"--billing-stripe-url", "http://" + addresses["stripesim"] + "/dev/stripe", "--billing-stripe-key", "sk_test_e2e",
		"--billing-webhook-secrets", "whsec_e2e",
	}
	for name, address := range addresses {
		common = append(common, "--url", name+"=http://"+address)
	}
	var commands []*command
	launch := func(args ...string) {
		c := start(ctx, args...)
		stops = append(stops, c.stop)
		commands = append(commands, c)
	}
	launch("stripe-simulator", "--listen", addresses["stripesim"], "--database-url", adminURL, "--key", "sk_test_e2e",
		"--webhook-url", public+"/api/v1/billing/webhooks/stripe", "--webhook-secret", "whsec_e2e", "--public-url", public, "--log-level", "error")
	for _, group := range groups {
		args := append([]string{"serve", "--listen", addresses[group[0]], "--components", strings.Join(group, ",")}, common...)
		launch(args...)
	}
	for _, address := range addresses {
		if err := awaitReady(ctx, address, commands); err != nil {
			return fail(err)
		}
	}
	file := filepath.Join(folder, "admin-password")
	if err := os.WriteFile(file, []byte(adminPassword), 0o600); err != nil {
		return fail(err)
	}
	if err := app.Main(ctx, append([]string{"user", "create-admin", "--email", adminEmail, "--password-file", file}, createAdminFlags(common)...), &out, &out); err != nil {
		return fail(fmt.Errorf("create-admin: %w\n%s", err, out.String()))
	}
	p, err := ready(ctx, public, stop)
	if err == nil {
		p.simulatorKey = "sk_test_e2e"
	}
	return p, err
}

// createAdminFlags keeps what create-admin knows.
func createAdminFlags(common []string) []string {
	var kept []string
	for i := 0; i+1 < len(common); i++ {
		switch common[i] {
		case "--database-url", "--identity-keys-file", "--encryption-keys-file", "--log-level":
			kept = append(kept, common[i], common[i+1])
		}
	}
	return kept
}

func awaitReady(ctx context.Context, address string, commands []*command) error {
	return shop.Eventually(ctx, time.Minute, func() (bool, error) {
		for _, c := range commands {
			if err := c.failed(); err != nil {
				return false, err
			}
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode == http.StatusOK, nil
	})
}

func ready(ctx context.Context, address string, stop func() error) (*platform, error) {
	guest := shop.New(address)
	person, err := guest.Login(ctx, adminEmail, adminPassword)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &platform{guest: guest, admin: person.Shop, stop: stop}, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
