package browser_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/commercestack/commercestack/internal/app"
	"github.com/commercestack/commercestack/test/shop"
)

const (
	adminEmail    = "admin@example.com"
	adminPassword = "the administrator's password"
)

var (
	// address of the running shop.
	address string
	// chromium is the browser that all tests share, each in a profile of its own; chromedp hands it on as a context.
	chromium context.Context
	// admin calls the API as the administrator.
	admin *shop.Shop
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	stop, err := start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the platform:", err)
		return 1
	}
	code := 1
	if closeBrowser, err := openBrowser(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start the browser:", err)
	} else {
		code = m.Run()
		closeBrowser()
	}
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop:", err)
		return 1
	}
	return code
}

// start runs commerce up with the demo catalog.
func start(ctx context.Context) (stop func() error, err error) {
	folder, err := os.MkdirTemp("", "commerce-browser-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	var (
		out    shop.Output
		done   = make(chan error, 1)
		runCtx context.Context
		end    context.CancelFunc
	)
	runCtx, end = context.WithCancel(ctx)
	go func() {
		done <- app.Main(runCtx, []string{
			"up", "--listen", listen, "--data", folder, "--admin-email", adminEmail,
			"--admin-password", adminPassword, "--log-level", "error",
		}, &out, &out)
	}()
	stop = func() error {
		end()
		return errors.Join(<-done, os.RemoveAll(folder))
	}
	err = shop.Eventually(ctx, 2*time.Minute, func() (bool, error) {
		select {
		case err := <-done:
			done <- err
			return false, fmt.Errorf("it ended: %w\n%s", err, out.String())
		default:
			return strings.Contains(out.String(), "is ready"), nil
		}
	})
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	address = "http://" + listen
	person, err := shop.New(address).Login(ctx, adminEmail, adminPassword)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	admin = person.Shop
	return stop, nil
}

// openBrowser starts Chromium without a window. It talks to nobody but the shop.
func openBrowser(ctx context.Context) (stop func(), err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("these tests need chromium: %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("force-color-profile", "srgb"))
	allocator, stopAllocator := chromedp.NewExecAllocator(ctx, options...)
	var stopBrowser context.CancelFunc
	chromium, stopBrowser = chromedp.NewContext(allocator) //nolint:fatcontext // set once, for all tests
	stop = func() { stopBrowser(); stopAllocator() }
	if err := chromedp.Do(chromium); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
