package e2e_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/test/shop"
)

// door is the address of whichever server is the primary, as CloudNativePG's
// read-write Service is: who is connected stays with the server he came to.
type door struct {
	listener net.Listener
	target   atomic.Value // the server's address
	group    sync.WaitGroup
}

func newDoor(t *testing.T, target string) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: listener}
	d.target.Store(target)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			d.group.Go(func() { d.serve(client) })
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return d
}

func (d *door) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", d.target.Load().(string))
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// standby makes a second server from a stopped one's folder that follows it.
func standby(t *testing.T, primary, folder string) {
	t.Helper()
	for _, part := range []string{"cluster", "password"} {
		from, to := filepath.Join(primary, part), filepath.Join(folder, part)
		info, err := os.Stat(from)
		if err == nil && info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
		} else if err == nil {
			var content []byte
			if content, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(folder, "cluster"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "cluster", "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFailover ends the primary in the middle of a rush. A standby, which has
// every commit that was answered, takes its place: first it only reads, as long
// as nobody promotes it, and then it is the database. No accepted order is lost
// and none is there twice.
func TestFailover(t *testing.T) {
	t.Parallel()
	ctx, folder := t.Context(), newFolder(t)
	first := pgserver.Config{DataDir: filepath.Join(folder, "first"), Logger: slog.New(slog.DiscardHandler)}
	second := pgserver.Config{DataDir: filepath.Join(folder, "second"), Logger: first.Logger}
	server, err := pgserver.Start(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(second.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	standby(t, first.DataDir, second.DataDir)
	// A commit is answered when the standby has it, as a cluster that may fail over must be set.
	first.Settings = map[string]string{"synchronous_standby_names": "*"}
	if server, err = pgserver.Start(ctx, first); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	primary, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := primary.User.Password()
	second.Settings = map[string]string{"primary_conninfo": fmt.Sprintf("host=127.0.0.1 port=%s user=postgres password=%s", primary.Port(), password)}
	follower, err := pgserver.Start(ctx, second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = follower.Stop(context.Background()) })

	d := newDoor(t, server.Address())
	primary.Host = d.listener.Addr().String()
	p := startOn(t, filepath.Join(folder, "data"), primary.String())
	product, err := p.admin.NewProduct(ctx, "Failover mug", "EUR", 1000, rushStock)
	if err != nil {
		t.Fatal(err)
	}
	rush := startRush(ctx, p.admin, product)
	if err := rush.placedMoreThan(ctx, 30); err != nil {
		t.Fatal(err)
	}

	if err := syscall.Kill(-server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	d.target.Store(follower.Address())
	rush.end()
	p.refuses(t, product, "with a database that only reads")
	if err := shop.Eventually(ctx, 30*time.Second, func() (bool, error) {
		answer, err := p.guest.Do(ctx, http.MethodGet, "/api/v1/products/"+product, nil)
		return err == nil && answer.Status == http.StatusOK, nil
	}); err != nil {
		t.Errorf("a database that only reads shows no products: %v", err)
	}

	admin, err := pgx.Connect(ctx, follower.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	began := time.Now()
	var promoted bool
	if err := admin.QueryRow(ctx, "SELECT pg_promote()").Scan(&promoted); err != nil || !promoted {
		t.Fatalf("the standby is not promoted (%v)", err)
	}
	if err := p.sellsAgain(ctx, product); err != nil {
		t.Fatalf("the shop did not recover: %v", err)
	}
	t.Logf("orders again %s after the promotion; %d were accepted before", time.Since(began).Round(time.Millisecond), len(rush.placed))
	rush.verify(t, p.admin)
}
