package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// folder is the data folder: cluster/ belongs to the server's user, the rest (lock, password, port) to ours.
type folder struct {
	base    string
	account *account // nil when this process is not root
	lock    *os.File
}

// openFolder makes the folder and takes its lock, which the kernel frees when this process ends.
func openFolder(path string) (*folder, error) {
	if path == "" {
		return nil, errors.New("no path given")
	}
	base, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(base, 0o755); err != nil { //nolint:gosec // the server's user walks through; cluster/ is 0700
		return nil, err
	}
	// The server reports its working directory without symbolic links.
	if base, err = filepath.EvalSymlinks(base); err != nil {
		return nil, err
	}
	dir := &folder{base: base}
	if dir.account, err = serverAccount(); err != nil {
		return nil, err
	}
	if dir.lock, err = os.OpenFile(dir.path("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		dir.close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by another process", base)
		}
		return nil, fmt.Errorf("lock %s: %w", base, err)
	}
	return dir, nil
}

func (d *folder) close() { _ = d.lock.Close() }

func (d *folder) path(name string) string { return filepath.Join(d.base, name) }

func (d *folder) cluster() string { return d.path("cluster") }

// major is the PostgreSQL version that made the cluster, or "" before there is one.
func (d *folder) major() (string, error) {
	text, err := os.ReadFile(filepath.Join(d.cluster(), "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// password makes the superuser's password at first use.
func (d *folder) password() (string, error) {
	text, err := os.ReadFile(d.path("password"))
	if err == nil {
		return string(text), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the superuser's password: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(d.path("password"), []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("keep the superuser's password: %w", err)
	}
	return password, nil
}

// initialise makes the cluster if there is none. It appears under its name only when it is whole, so a crash in between
// leaves nothing that looks like a database.
func (d *folder) initialise(ctx context.Context, binaries string, noSync bool) error {
	if _, err := os.Stat(d.cluster()); err == nil {
		return d.account.own(d.cluster())
	}
	password, err := d.password()
	if err != nil {
		return err
	}
	fresh := d.path("cluster.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if err := d.account.own(fresh); err != nil {
		return err
	}
	secret, err := d.secretFile(password)
	if err != nil {
		return err
	}
	defer secret.Close()
	// C.UTF-8 sorts by code point everywhere alike and still knows upper and lower case beyond ASCII.
	args := []string{
		"--pgdata=" + d.reach(fresh), "--username=" + superuser, "--auth=scram-sha-256", "--pwfile=/proc/self/fd/4",
		"--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions",
	}
	if noSync {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	cmd, done, err := d.command(ctx, fresh, filepath.Join(binaries, "initdb"), args...)
	if err != nil {
		return err
	}
	defer done()
	cmd.ExtraFiles = append(cmd.ExtraFiles, secret)
	// As in supervise: the thread that started initdb must outlive it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return os.Rename(fresh, d.cluster())
}

// secretFile is an open file that the server's user can read and that has no name any more.
func (d *folder) secretFile(text string) (*os.File, error) {
	file, err := os.CreateTemp(d.base, "initdb-*")
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(text + "\n")
	if err = errors.Join(err, d.account.own(file.Name()), os.Remove(file.Name())); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// command prepares a server program that runs as the server's user and gets cluster as its file descriptor 3. done
// frees the descriptor of this process.
func (d *folder) command(ctx context.Context, cluster, program string, args ...string) (cmd *exec.Cmd, done func(), err error) {
	open, err := os.Open(cluster)
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{open}
	// Nothing of our environment: PG* variables would change what the server does, and it may hold secrets.
	cmd.Env = []string{"PATH=" + filepath.Dir(program) + ":/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A terminal's Ctrl-C must not stop the server under a program that is still finishing its work.
		Setpgid:    true,
		Pdeathsig:  syscall.SIGINT,
		Credential: d.account.credential(),
	}
	return cmd, func() { _ = open.Close() }, nil
}

// reach is the path by which the server finds its cluster. Root's folders are often closed to other users; the
// server then goes in through the descriptor that root opened for it, and nobody's permissions change.
func (d *folder) reach(cluster string) string {
	if d.account.canReach(cluster) {
		return cluster
	}
	return "/proc/self/fd/3"
}

// choosePort answers the wanted port, else the kept one while it is free, else a free one.
func (d *folder) choosePort(wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	if text, err := os.ReadFile(d.path("port")); err == nil {
		if port, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && portFree(port) {
			return port, nil
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binding a port does not block
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find a free port: unexpected address %s", listener.Addr())
	}
	return address.Port, listener.Close()
}

func (d *folder) keepPort(port int) error {
	return os.WriteFile(d.path("port"), []byte(strconv.Itoa(port)+"\n"), 0o600)
}

func portFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // as above
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
