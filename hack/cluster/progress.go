package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prints a line per finished step, with the seconds since the start.
type progress struct {
	out     io.Writer
	started time.Time
	mu      sync.Mutex
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, started: time.Now()}
}

// line prints one step.
func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%6.1f s  %s\n", time.Since(p.started).Seconds(), fmt.Sprintf(format, args...))
}
