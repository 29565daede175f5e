// Package process starts long-running programs, remembers them in a file, and
// ends exactly those. A record holds the process id with the time it started and
// the boot it belongs to, since process ids are used again: after a crash or a
// reboot a record can never name somebody else's process.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Supervisor keeps the records of one folder.
type Supervisor struct {
	// Dir holds a record per process.
	Dir string
	// Logs holds a log per process.
	Logs string
}

// Spec describes a program to start.
type Spec struct {
	Name string
	Args []string
	Env  []string
}

// record is what a file of the folder holds.
type record struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
	Boot  string `json:"boot"`
}

// Start starts a program in a session of its own, so that it outlives the caller
// and its terminal. Standard output and error go to Name.log.
func (s Supervisor) Start(spec Spec) error {
	log, err := os.OpenFile(s.LogFile(spec.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer log.Close()
	// The process is meant to outlive every context of the caller.
	command := exec.CommandContext(context.Background(), spec.Args[0], spec.Args[1:]...)
	command.Env = append(os.Environ(), spec.Env...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	// Reaped when it ends while the caller still runs; later init does that.
	go func() { _ = command.Wait() }()
	start, err := startTime(command.Process.Pid)
	if err != nil {
		return fmt.Errorf("%s ended at once; its log: %s", spec.Name, log.Name())
	}
	data, err := json.Marshal(record{PID: command.Process.Pid, Start: start, Boot: bootID()})
	if err != nil {
		return fmt.Errorf("encode the record of %s: %w", spec.Name, err)
	}
	if err := os.WriteFile(s.recordFile(spec.Name), data, 0o600); err != nil {
		return fmt.Errorf("write the record of %s: %w", spec.Name, err)
	}
	return nil
}

// LogFile is where the program's output goes.
func (s Supervisor) LogFile(name string) string { return filepath.Join(s.Logs, name+".log") }

// Alive tells whether the recorded process still runs.
func (s Supervisor) Alive(name string) bool {
	_, err := s.find(name)
	return err == nil
}

// PID is the process id of a program that runs.
func (s Supervisor) PID(name string) (int, error) {
	process, err := s.find(name)
	if err != nil {
		return 0, err
	}
	return process.Pid, nil
}

// Names lists the recorded processes, running or not.
func (s Supervisor) Names() []string {
	files, _ := filepath.Glob(filepath.Join(s.Dir, "*.pid"))
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".pid"))
	}
	return names
}

// Stop asks the process to end, ends it by force after grace, and forgets it.
// A process that does not run any more is only forgotten.
func (s Supervisor) Stop(name string, grace time.Duration) error {
	process, err := s.find(name)
	if err == nil {
		_ = process.Signal(syscall.SIGTERM)
		if !s.gone(name, grace) {
			_ = process.Signal(syscall.SIGKILL)
			if !s.gone(name, 5*time.Second) {
				return fmt.Errorf("%s (process %d) does not end, not even by force", name, process.Pid)
			}
		}
	}
	if err := os.Remove(s.recordFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget %s: %w", name, err)
	}
	return nil
}

// Signal sends a signal to a program that runs.
func (s Supervisor) Signal(name string, signal os.Signal) error {
	process, err := s.find(name)
	if err != nil {
		return err
	}
	if err := process.Signal(signal); err != nil {
		return fmt.Errorf("send %s to %s: %w", signal, name, err)
	}
	return nil
}

func (s Supervisor) gone(name string, within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !s.Alive(name) {
			return true
		}
	}
	return !s.Alive(name)
}

// find opens a handle first and compares afterwards: the handle stays with this
// very process, so a signal through it can't reach a later one of the same id.
func (s Supervisor) find(name string) (*os.Process, error) {
	data, err := os.ReadFile(s.recordFile(name))
	if err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", name, err)
	}
	var known record
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, fmt.Errorf("decode the record of %s: %w", name, err)
	}
	process, err := os.FindProcess(known.PID)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	start, err := startTime(known.PID)
	if err != nil || start != known.Start || bootID() != known.Boot {
		return nil, fmt.Errorf("%s does not run", name)
	}
	return process, nil
}

func (s Supervisor) recordFile(name string) string { return filepath.Join(s.Dir, name+".pid") }

// startTime is the process's start in clock ticks since boot; a zombie counts as
// ended.
func startTime(pid int) (string, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// The second field is the program's name in parentheses and may hold spaces.
	_, rest, found := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return "", fmt.Errorf("process %d has an unreadable stat file", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[19], nil
}

func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
}
