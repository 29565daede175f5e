package pgserver

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

const tailLines = 20

// serverLog passes the server's lines on and keeps the last ones for the error when it does not start.
type serverLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	partial []byte
	lines   []string
}

func newServerLog(logger *slog.Logger) *serverLog { return &serverLog{logger: logger} }

// Write implements io.Writer.
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, found := bytes.Cut(l.partial, []byte{'\n'})
		if !found {
			return len(p), nil
		}
		l.add(string(line))
		l.partial = bytes.Clone(rest)
	}
}

func (l *serverLog) add(line string) {
	l.lines = append(l.lines, line)
	if len(l.lines) > tailLines {
		l.lines = l.lines[1:]
	}
	l.logger.Debug("postgres", slog.String("line", line))
}

func (l *serverLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.add(string(l.partial))
		l.partial = nil
	}
}

func (l *serverLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
