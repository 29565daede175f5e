// Package redistest runs a real Redis for a test.
package redistest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	startTimeout = 20 * time.Second
	startPoll    = 20 * time.Millisecond
)

// Server is a running Redis.
type Server struct {
	// Address is its host and port.
	Address string

	port, folder string
	arguments    []string
	command      *exec.Cmd
}

// New starts a Redis that ends with the test. lines are its file of users; none
// is one user without a password. arguments are added to the command line.
func New(t testing.TB, lines []string, arguments ...string) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	s := &Server{Address: "127.0.0.1:" + port, port: port, folder: t.TempDir(), arguments: arguments}
	if len(lines) > 0 {
		s.arguments = append(s.arguments, "--aclfile", s.UsersFile())
		s.WriteUsers(t, lines)
	}
	s.Start(t)
	t.Cleanup(s.stop)
	return s
}

// UsersFile is the path of the file of users.
func (s *Server) UsersFile() string { return filepath.Join(s.folder, "users.acl") }

// WriteUsers replaces the file of users, which the server reads when it starts.
func (s *Server) WriteUsers(t testing.TB, lines []string) {
	t.Helper()
	if err := os.WriteFile(s.UsersFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start starts the server and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	output := &strings.Builder{}
	s.command = exec.CommandContext(context.WithoutCancel(t.Context()), "redis-server",
		append([]string{"--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.folder}, s.arguments...)...)
	s.command.Stdout, s.command.Stderr = output, output
	if err := s.command.Start(); err != nil {
		t.Fatalf("tests need redis-server on the PATH: %v", err)
	}
	for end := time.Now().Add(startTimeout); ; time.Sleep(startPoll) {
		conn, err := net.DialTimeout("tcp", s.Address, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			s.stop()
			t.Fatalf("redis-server does not answer: %v\n%s", err, output)
		}
	}
}

// Stop ends the server.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.stop()
}

func (s *Server) stop() {
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill()
	var exit *exec.ExitError
	if err := s.command.Wait(); err != nil && !errors.As(err, &exit) {
		panic("redis-server cannot be waited for: " + strconv.Quote(err.Error()))
	}
	s.command = nil
}

// URL is the address of the server for a user.
func (s *Server) URL(user, password string) string {
	return "redis://" + user + ":" + password + "@" + s.Address + "/0"
}

// Client returns a client that logs in as a user.
func (s *Server) Client(t testing.TB, user, password string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Address, Username: user, Password: password, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
