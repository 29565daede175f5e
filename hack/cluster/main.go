// Command cluster runs a real Kubernetes on this machine without a container
// engine or an image registry: `cluster up`, `cluster down`, `cluster images`,
// `cluster check`, `cluster status`, `cluster outage`. It has one node, and
// `cluster node add` gives it a second, which `cluster node lose` takes away as
// a power cut does.
//
// The programs are built from Go modules (hack/tools), containerd comes from
// Debian, and everything the cluster writes stays in one folder of the user's
// cache. Its node has a network namespace and control groups of its own, so that
// other clusters and container engines of the machine are never touched and
// removing the node removes all of its interfaces, routes and firewall rules.
// Where a working Docker engine and kind are present, kind is used instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/commercestack/commercestack/hack/cluster/layout"
)

const usage = `usage: cluster [--version VERSION] [--for DURATION] up|down|images|check|status|outage|node add|node lose|node remove
  up      start the cluster; returns at once when it runs
  down    stop it and remove all that it made, except for built programs and images
  images  build the images whose inputs changed and load them into the cluster
  check   prove that pods, DNS, volumes, metrics and network policies work
  status  print what runs
  outage  let the API server answer nobody for a time (--for, 30 s)
  node add     start a second node and wait until it is Ready
  node lose    cut its link and kill all that runs on it, at once
  node remove  remove it, lost or not, and its Node object
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	version := flags.String("version", "0.1.0", "tag of the commercestack image")
	duration := flags.Duration("for", defaultOutage, "how long an outage lasts")
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	if err := flags.Parse(args); err != nil {
		return err
	}
	var commands map[string]func(context.Context) error
	place, err := layout.Default()
	if err != nil {
		return err
	}
	if kindWorks(ctx) {
		k := &kind{layout: place, version: *version, progress: newProgress(os.Stdout)}
		commands = map[string]func(context.Context) error{"up": k.up, "down": k.down, "images": k.images, "check": k.check, "status": k.status}
		commands["outage"] = func(ctx context.Context) error { return outage(ctx, k.progress, *duration, k.signalServer) }
		for _, name := range nodeCommands {
			commands[name] = func(context.Context) error { return errOneNode }
		}
	} else {
		c := newCluster(place, *version)
		commands = map[string]func(context.Context) error{"up": c.up, "down": c.down, "images": c.images, "check": c.check, "status": c.status}
		commands["outage"] = func(ctx context.Context) error { return outage(ctx, c.progress, *duration, c.signalServer) }
		commands[nodeAdd], commands[nodeLose], commands[nodeRemove] = c.addNode, c.loseNode, c.removeNode
	}
	command := commands[strings.Join(flags.Args(), " ")]
	if command == nil {
		known := make([]string, 0, len(commands))
		for name := range commands {
			known = append(known, name)
		}
		slices.Sort(known)
		return fmt.Errorf("say what to do: one of %s", strings.Join(known, ", "))
	}
	return command(ctx)
}

// needRoot says so in one sentence before anything fails half-way.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs root: it makes network namespaces, mounts and control groups; " +
			"run this as root (sudo -E make cluster-up), or install Docker and kind, which are used instead when they work")
	}
	return nil
}
