// Command commerce runs the components of a commerce platform: all of them in
// one process, or some of them beside the others.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/commercestack/commercestack/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app.Main(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "commerce:", err)
		os.Exit(1) //nolint:gocritic // the signal handler dies with the process
	}
}
