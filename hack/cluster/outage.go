package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/commercestack/commercestack/hack/cluster/host"
)

const (
	// apiServer is the name of the program.
	apiServer = "kube-apiserver"
	// defaultOutage is longer than an operator keeps its lease, and shorter than a node may be silent.
	defaultOutage = 30 * time.Second
)

// outage lets the API server answer nobody for a time: it stands still, which is
// worse for clients than an end that they notice. It goes on whatever happens here.
func outage(ctx context.Context, progress *progress, duration time.Duration, signal func(context.Context, syscall.Signal) error) (err error) {
	if err := signal(ctx, syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, signal(context.WithoutCancel(ctx), syscall.SIGCONT))
		progress.line("the API server answers again")
	}()
	progress.line("the API server answers nobody for %s", duration)
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
	return ctx.Err()
}

func (c *cluster) signalServer(_ context.Context, signal syscall.Signal) error {
	return c.supervisor.Signal(apiServer, signal)
}

func (k *kind) signalServer(ctx context.Context, signal syscall.Signal) error {
	name := map[syscall.Signal]string{syscall.SIGSTOP: "STOP", syscall.SIGCONT: "CONT"}[signal]
	return host.Run(ctx, "docker", "exec", kindName+"-control-plane", "pkill", "-"+name, apiServer)
}
