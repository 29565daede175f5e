package pgserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// The test binary is its own parent process to kill: see TestKilledParentLeavesNoServer.
const helperFolder = "PGSERVER_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperFolder); dir != "" {
		runUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

func runUntilKilled(dir string) {
	server, err := Start(context.Background(), throwawayConfig(dir))
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(strconv.Itoa(server.PID()) + "\n")
	select {}
}

// newFolder is a data folder with a cluster in it that was stopped cleanly.
func newFolder(t *testing.T) string {
	t.Helper()
	server, err := StartThrowaway(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(server.dir); err != nil {
			t.Error(err)
		}
	})
	if err := server.Server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server.dir
}

func startOn(t *testing.T, config Config) *Server {
	t.Helper()
	server, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return server
}

func query(t *testing.T, url, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var answer string
	if err := conn.QueryRow(t.Context(), statement).Scan(&answer); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return answer
}

func TestFirstStartMakesAClusterThatRestartsKeep(t *testing.T) {
	t.Parallel()
	config := Config{DataDir: filepath.Join(t.TempDir(), "data"), Logger: slog.New(slog.DiscardHandler)}
	first, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"fsync": "on", "listen_addresses": "127.0.0.1", "max_connections": "200", "shared_buffers": "128MB",
		"data_checksums": "on", "server_encoding": "UTF8", "password_encryption": "scram-sha-256",
	} {
		if got := query(t, first.URL("postgres"), "SHOW "+setting); got != want {
			t.Errorf("%s = %s, want %s", setting, got, want)
		}
	}
	if got := query(t, first.URL("postgres"), "SELECT lower('ÄÖ')"); got != "äö" {
		t.Errorf("lower('ÄÖ') = %s", got)
	}
	query(t, first.URL("postgres"), "WITH made AS (SELECT 1) SELECT set_config('a.b', 'c', false) FROM made")
	query(t, first.URL("postgres"), "CREATE TABLE kept AS SELECT 'mug' AS name")
	if info, err := os.Stat(filepath.Join(config.DataDir, "password")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v; want mode 0600", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(config.DataDir, "cluster")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("cluster: %v, %v; want mode 0700", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(config.DataDir, "initdb-*")); len(left) > 0 {
		t.Errorf("initdb's password file is left: %v", left)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	second := startOn(t, config)
	if second.URL("shop") != first.URL("shop") {
		t.Error("port or password changed with the restart")
	}
	if got := query(t, second.URL("postgres"), "SELECT name FROM kept"); got != "mug" {
		t.Errorf("kept row is %q", got)
	}
}

func TestEveryConnectionNeedsThePassword(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	server := startOn(t, throwawayConfig(dir))
	wrong := strings.Replace(server.URL("postgres"), server.password, "wrong", 1)
	if conn, err := pgx.Connect(t.Context(), wrong); err == nil {
		_ = conn.Close(t.Context())
		t.Error("connected with a wrong password")
	}
	// The socket is for root and the server's user only, and asks for the password too.
	socket := "host=" + filepath.Join(dir, "cluster") + " port=" + strconv.Itoa(server.port) + " user=postgres password=wrong"
	if conn, err := pgx.Connect(t.Context(), socket); err == nil {
		_ = conn.Close(t.Context())
		t.Error("connected over the socket with a wrong password")
	} else if strings.Contains(err.Error(), "no such file") {
		t.Errorf("no socket: %v", err)
	}
}

func TestCrashRecovers(t *testing.T) {
	t.Parallel()
	config := throwawayConfig(newFolder(t))
	config.Settings["fsync"] = "on"
	config.Settings["synchronous_commit"] = "on"
	config.Settings["full_page_writes"] = "on"
	server, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	query(t, server.URL("postgres"), "CREATE TABLE kept AS SELECT 'mug' AS name")
	if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	if err := server.Stop(t.Context()); err != nil {
		t.Errorf("Stop after the crash: %v", err)
	}
	again := startOn(t, config)
	if got := query(t, again.URL("postgres"), "SELECT name FROM kept"); got != "mug" {
		t.Errorf("row after recovery is %q", got)
	}
}

func TestOneProcessHoldsTheFolder(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	startOn(t, throwawayConfig(dir))
	if _, err := Start(t.Context(), throwawayConfig(dir)); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second start: %v", err)
	}
}

func TestKilledParentLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), helperFolder+"="+dir)
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := output.Read(line)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatalf("the parent said %q", line[:n])
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for syscall.Kill(pid, 0) == nil {
		if time.Now().After(deadline) {
			t.Fatalf("server %d outlives its parent", pid)
		}
		time.Sleep(readyPoll)
	}
	startOn(t, throwawayConfig(dir))
}

func TestStartEndsAnOrphan(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	orphan, err := Start(t.Context(), throwawayConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	// As if the parent had died and the signal had not reached the server.
	if err := orphan.lock.Close(); err != nil {
		t.Fatal(err)
	}
	server := startOn(t, throwawayConfig(dir))
	<-orphan.Done()
	if got := query(t, server.URL("postgres"), "SELECT 'up'"); got != "up" {
		t.Errorf("answer %q", got)
	}
}

func TestStalePIDFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		// The number of a live process that is no server: what a restarted container often finds.
		"reused number": strconv.Itoa(os.Getpid()) + "\n/nowhere\n",
		"empty":         "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			if err := os.WriteFile(filepath.Join(dir, "cluster", "postmaster.pid"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			startOn(t, throwawayConfig(dir))
		})
	}
}

func TestUnreachableParents(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	config := throwawayConfig(filepath.Join(parent, "data"))
	server := startOn(t, config)
	if got := query(t, server.URL("postgres"), "SELECT 'up'"); got != "up" {
		t.Errorf("answer %q", got)
	}
	if info, err := os.Stat(parent); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the parent's mode became %v (%v)", info.Mode(), err)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	t.Run("without a folder", func(t *testing.T) {
		t.Parallel()
		if _, err := Start(t.Context(), Config{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("on a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Config{DataDir: path}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("with what the server said", func(t *testing.T) {
		t.Parallel()
		config := throwawayConfig(newFolder(t))
		config.Settings["shared_buffers"] = "many"
		_, err := Start(t.Context(), config)
		if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
			t.Fatalf("error %v, want the server's words", err)
		}
		// The folder is free again.
		delete(config.Settings, "shared_buffers")
		startOn(t, config)
	})
	t.Run("on a port in use", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		config := throwawayConfig(newFolder(t))
		config.Port = listener.Addr().(*net.TCPAddr).Port
		if _, err := Start(t.Context(), config); err == nil {
			t.Error("no error")
		}
	})
	t.Run("when the context has ended", func(t *testing.T) {
		t.Parallel()
		config := throwawayConfig(newFolder(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Start(ctx, config); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		startOn(t, config)
	})
}

func TestStartNamesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"lock": "lock: is a directory", "password": "read the superuser's password", "port": "keep the port",
		"cluster/postmaster.pid": "clean up after an earlier server", "cluster/PG_VERSION": "PG_VERSION",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			path := filepath.Join(dir, name)
			if err := errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
			if _, err := Start(t.Context(), throwawayConfig(dir)); err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("error %v, want %q in it", err, message)
			}
			if pids, err := processesIn(filepath.Join(dir, "cluster")); err != nil || len(pids) > 0 {
				t.Errorf("processes %v are left (%v)", pids, err)
			}
		})
	}
}

func TestKeptPortInUseIsReplaced(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dir := newFolder(t)
	taken := listener.Addr().(*net.TCPAddr).Port
	if err := os.WriteFile(filepath.Join(dir, "port"), []byte(strconv.Itoa(taken)), 0o600); err != nil {
		t.Fatal(err)
	}
	if server := startOn(t, throwawayConfig(dir)); server.port == taken {
		t.Error("took a port in use")
	}
}

func TestStopInAHurry(t *testing.T) {
	t.Parallel()
	config := throwawayConfig(newFolder(t))
	server, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop says %v", err)
	}
	select {
	case <-server.Done():
	case <-time.After(time.Second):
		t.Error("the server still runs")
	}
	startOn(t, config)
}
