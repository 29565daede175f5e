// Command operator measures the operator with many stacks on one real API server:
// the time until all are Ready, how long visits take, its memory, and what it
// writes at rest and after a restart.
//
//	go run ./test/bench/operator -stacks 200
//
// The operator is the program of cmd/operator as a process of its own. Nothing
// runs pods: Deployments, StatefulSets and Jobs are told to be done as soon as
// they are made. Figures are for reading: no test asserts them.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are those of the command line.
type options struct {
	stacks  int
	rest    time.Duration
	workers int
	log     string
}

func main() {
	var o options
	flag.IntVar(&o.stacks, "stacks", 200, "number of CommerceStacks")
	flag.DurationVar(&o.rest, "rest", time.Minute, "how long writes at rest are counted")
	flag.IntVar(&o.workers, "concurrency", 4, "how many stacks the operator visits at a time")
	flag.StringVar(&o.log, "log", "", "write what the operator logs to this file")
	flag.Parse()
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to clean up
	}
}

func run(ctx context.Context, o options) (err error) {
	b, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		if stopped := b.stop(); err == nil {
			err = stopped
		}
	}()
	for _, step := range []func(context.Context) error{b.install, b.atRest, b.visitAll, b.changeAll, b.restart} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// install creates the stacks and waits until all are Ready.
func (b *bench) install(ctx context.Context) error {
	began := time.Now()
	before, err := b.operator.figures(ctx)
	if err != nil {
		return err
	}
	if err := b.createStacks(ctx); err != nil {
		return err
	}
	if err := b.settle(ctx, "all stacks Ready", b.ready); err != nil {
		return err
	}
	fmt.Printf("%d Development stacks, %d at a time\n\n", b.options.stacks, b.options.workers)
	fmt.Printf("time until all are Ready        %8.1f s\n", time.Since(began).Seconds())
	return b.report(ctx, "installing", before)
}

// atRest counts what is written when nothing happens.
func (b *bench) atRest(ctx context.Context) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	before, err := b.operator.figures(ctx)
	if err != nil {
		return err
	}
	if err := sleep(ctx, b.options.rest); err != nil {
		return err
	}
	after, err := b.operator.figures(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("writes in %3.0f s at rest         %8.0f  of %d objects, %.0f visits\n", b.options.rest.Seconds(), after.writes-before.writes, b.objects(ctx), after.visits.count-before.visits.count)
	return b.printMemory("at rest")
}

// visitAll has every stack looked at once, when there is nothing to do.
func (b *bench) visitAll(ctx context.Context) error {
	before, err := b.operator.figures(ctx)
	if err != nil {
		return err
	}
	if err := b.touch(ctx); err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	return b.report(ctx, "nothing to do", before)
}

// changeAll gives every stack other numbers, which is no rollout.
func (b *bench) changeAll(ctx context.Context) error {
	before, err := b.operator.figures(ctx)
	if err != nil {
		return err
	}
	if err := b.change(ctx); err != nil {
		return err
	}
	if err := b.settle(ctx, "the change everywhere", b.changed); err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	return b.report(ctx, "a change of each", before)
}

// restart lets a new process find everything as it is.
func (b *bench) restart(ctx context.Context) error {
	if err := b.operator.stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := b.operator.start(ctx); err != nil {
		return err
	}
	if err := b.settle(ctx, "every stack visited", func(ctx context.Context) (bool, error) {
		now, err := b.operator.figures(ctx)
		return now.visits.count >= float64(b.options.stacks), err
	}); err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	fmt.Printf("a new process has seen all after %7.1f s\n", (time.Since(began) - quietFor).Seconds())
	if err := b.report(ctx, "a new process", figures{}); err != nil {
		return err
	}
	return b.printMemory("after a restart")
}

// report prints the visits since before.
func (b *bench) report(ctx context.Context, what string, before figures) error {
	after, err := b.operator.figures(ctx)
	if err != nil {
		return err
	}
	visits := after.visits.since(before.visits)
	fmt.Printf("%-18s visits %6.0f  p50 %7.1f ms  p99 %7.1f ms  errors %4.0f  writes %6.0f\n", what+":", visits.count, 1000*visits.quantile(.5), 1000*visits.quantile(.99),
		after.errors-before.errors, after.writes-before.writes)
	return nil
}

func (b *bench) printMemory(when string) error {
	memory, err := b.operator.memory()
	if err != nil {
		return err
	}
	fmt.Printf("resident memory %-15s %8.1f MiB, at most %.1f MiB\n", when, memory.resident, memory.most)
	return nil
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
