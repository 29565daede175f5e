package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/hack/cluster/process"
)

// The API server stands still for the time and goes on afterwards, also where somebody gives up waiting.
func TestOutageEnds(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	ticks := c.layout.Run() + "/ticks"
	err := c.supervisor.Start(process.Spec{Name: apiServer, Args: []string{"sh", "-c", "while :; do echo >> " + ticks + "; sleep 0.01; done"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.supervisor.Stop(apiServer, time.Second) }()
	size := func() int {
		content, _ := os.ReadFile(ticks)
		return len(content)
	}
	grows := func() bool {
		before := size()
		for range 500 {
			if time.Sleep(10 * time.Millisecond); size() > before {
				return true
			}
		}
		return false
	}
	if !grows() {
		t.Fatal("the program does not run")
	}
	out := &strings.Builder{}
	during := make(chan int, 2)
	go func() {
		time.Sleep(200 * time.Millisecond)
		during <- size()
		time.Sleep(200 * time.Millisecond)
		during <- size()
	}()
	if err := outage(t.Context(), newProgress(out), time.Second, c.signalServer); err != nil {
		t.Fatal(err)
	}
	if a, b := <-during, <-during; a != b {
		t.Errorf("it ran on during the outage: %d, then %d", a, b)
	}
	if !grows() {
		t.Error("it stands still after the outage")
	}
	if err := c.supervisor.Stop(apiServer, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := outage(t.Context(), newProgress(out), time.Second, c.signalServer); err == nil {
		t.Error("an outage of what does not run")
	}
}
