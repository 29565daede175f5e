package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser    = "postgres"
	readyTimeout = 60 * time.Second // crash recovery of a developer's database takes seconds
	readyPoll    = 20 * time.Millisecond
)

// Config says where the server keeps its data. Only DataDir is required.
type Config struct {
	// DataDir is made when it does not exist.
	DataDir string
	// Port on 127.0.0.1; 0 takes the port of the last time if it is free, else any free one.
	Port int
	// Settings override entries of postgresql.conf.
	Settings map[string]string
	// Logger takes what the server writes, at debug level; slog.Default().
	Logger *slog.Logger
}

// Two cores and a developer's memory; the WAL bounds keep the folder small.
func defaultSettings() map[string]string {
	return map[string]string{
		"shared_buffers":                   "128MB",
		"max_connections":                  "200",
		"effective_cache_size":             "512MB",
		"work_mem":                         "8MB",
		"maintenance_work_mem":             "64MB",
		"random_page_cost":                 "1.1",
		"wal_level":                        "replica",
		"wal_compression":                  "on",
		"max_wal_size":                     "512MB",
		"min_wal_size":                     "64MB",
		"checkpoint_timeout":               "10min",
		"max_worker_processes":             "4",
		"max_parallel_workers":             "2",
		"log_min_error_statement":          "panic", // statements may hold personal data
		"log_min_messages":                 "warning",
		"password_encryption":              "scram-sha-256",
		"timezone":                         "UTC",
		"listen_addresses":                 "127.0.0.1",
		"unix_socket_directories":          ".", // the data folder, by a path that is never too long for a socket
		"unix_socket_permissions":          "0700",
		"cluster_name":                     "commerce",
		"logging_collector":                "off",
		"log_destination":                  "stderr",
		"tcp_keepalives_idle":              "60",
		"client_connection_check_interval": "10s",
	}
}

// Server is a running PostgreSQL server.
type Server struct {
	port     int
	password string
	pid      int
	lock     *os.File
	log      *serverLog
	done     chan struct{} // closed when the process has ended
	exit     error         // set before done is closed
}

// Start starts the server on the data folder and returns when it answers. It makes the cluster on first use, recovers
// one that crashed, and ends a server that a killed parent left on the same folder. It fails when another process
// holds the folder.
func Start(ctx context.Context, config Config) (*Server, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	dir, err := openFolder(config.DataDir)
	if err != nil {
		return nil, fmt.Errorf("pgserver: data folder: %w", err)
	}
	server, err := start(ctx, config, dir)
	if err != nil {
		dir.close()
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	return server, nil
}

func start(ctx context.Context, config Config, dir *folder) (*Server, error) {
	major, err := dir.major()
	if err != nil {
		return nil, err
	}
	binaries, err := findBinaries(major)
	if err != nil {
		return nil, err
	}
	if err := dir.endOrphan(ctx); err != nil {
		return nil, fmt.Errorf("clean up after an earlier server: %w", err)
	}
	if err := dir.initialise(ctx, binaries, config.Settings["fsync"] == "off"); err != nil {
		return nil, fmt.Errorf("make the database cluster: %w", err)
	}
	password, err := dir.password()
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		port, err := dir.choosePort(config.Port)
		if err != nil {
			return nil, err
		}
		server := &Server{
			port: port, password: password, lock: dir.lock, log: newServerLog(config.Logger), done: make(chan struct{}),
		}
		// Kept before the start, so that no failure after it can leave a server behind.
		if err := dir.keepPort(port); err != nil {
			return nil, fmt.Errorf("keep the port: %w", err)
		}
		if err = server.run(ctx, config, binaries, dir); err == nil {
			return server, nil
		}
		// Somebody may have taken the port between the look and the start.
		if config.Port != 0 || attempt == 3 || portFree(port) {
			return nil, err
		}
	}
}

func (s *Server) run(ctx context.Context, config Config, binaries string, dir *folder) error {
	args := []string{"-D", dir.reach(dir.cluster())}
	settings := defaultSettings()
	maps.Copy(settings, config.Settings)
	settings["port"] = strconv.Itoa(s.port)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	// The server outlives the context it was started with; Stop ends it.
	cmd, closeCluster, err := dir.command(context.WithoutCancel(ctx), dir.cluster(), filepath.Join(binaries, "postgres"), args...)
	if err != nil {
		return err
	}
	cmd.Stderr = s.log
	started := make(chan error, 1)
	go s.supervise(cmd, started)
	err = <-started
	closeCluster()
	if err != nil {
		return err
	}
	if err := s.waitReady(ctx); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return errors.Join(err, s.stopProcess(stopCtx))
	}
	return nil
}

// supervise starts the process and waits for its end on one thread: the kernel sends the parent-death signal when the
// thread that started the child ends, so the thread must live as long as the child.
func (s *Server) supervise(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	if err := cmd.Start(); err != nil {
		started <- fmt.Errorf("start %s: %w", cmd.Path, err)
		return
	}
	s.pid = cmd.Process.Pid
	started <- nil
	s.exit = cmd.Wait()
	s.log.flush()
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	config, err := pgx.ParseConfig(s.URL("postgres"))
	if err != nil {
		return err
	}
	// Something else on the port may take the connection and never answer.
	connectCtx, stopConnecting := context.WithCancel(ctx)
	defer stopConnecting()
	go func() {
		select {
		case <-s.done:
			stopConnecting()
		case <-connectCtx.Done():
		}
	}()
	for {
		conn, err := pgx.ConnectConfig(connectCtx, config)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			return fmt.Errorf("the server ended while it started (%w); it said:\n%s", s.exit, s.log.tail())
		case <-ctx.Done():
			return fmt.Errorf("the server did not answer in time: %w; it said:\n%s", errors.Join(ctx.Err(), err), s.log.tail())
		case <-time.After(readyPoll):
		}
	}
}

// URL is the superuser's URL of a database. It holds the password.
func (s *Server) URL(database string) string {
	location := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, s.password),
		Host: s.Address(), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return location.String()
}

// Address is the host and port the server listens on.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// PID is the server's process id.
func (s *Server) PID() int { return s.pid }

// Done is closed when the server's process has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends all sessions, writes a checkpoint and waits for the server's end. When ctx ends first, the server is
// stopped without a checkpoint and recovers at its next start. Stopping twice is fine.
func (s *Server) Stop(ctx context.Context) error {
	err := s.stopProcess(ctx)
	// Only now may another process take the folder.
	if closeErr := s.lock.Close(); closeErr != nil && !errors.Is(closeErr, os.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return fmt.Errorf("pgserver: stop: %w", err)
	}
	return nil
}

func (s *Server) stopProcess(ctx context.Context) error {
	// SIGINT is the fast shutdown: rolls back what runs. SIGQUIT is the immediate one.
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		if s.ended() {
			return nil
		}
		if err := syscall.Kill(s.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal process %d: %w", s.pid, err)
		}
		if signal == syscall.SIGQUIT {
			break
		}
		select {
		case <-s.done:
			return nil
		case <-ctx.Done():
		}
	}
	select {
	case <-s.done:
		return ctx.Err()
	case <-time.After(5 * time.Second):
		// The postmaster's children end by themselves when it is gone.
		return errors.Join(ctx.Err(), syscall.Kill(s.pid, syscall.SIGKILL))
	}
}

func (s *Server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
