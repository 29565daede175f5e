// Command agent does for the local cluster's node what a cloud or a CNI vendor does
// elsewhere: it provisions volumes and enforces network policies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/commercestack/commercestack/hack/cluster/firewall"
	"github.com/commercestack/commercestack/hack/cluster/volumes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	dir := flag.String("volumes", "", "folder that holds the volumes")
	node := flag.String("node", "", "name of this node")
	flag.Parse()
	if *kubeconfig == "" || *dir == "" || *node == "" {
		return errors.New("--kubeconfig, --volumes and --node are needed; hack/cluster sets them")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	// A factory each: the caches of one need not wait for the other's.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return firewall.Run(ctx, informers.NewSharedInformerFactory(client, 0), log) })
	group.Go(func() error {
		controller := &volumes.Controller{Client: client, Dir: *dir, Node: *node, Log: log, Disks: volumes.Loop{}}
		return controller.Run(ctx, informers.NewSharedInformerFactory(client, 0))
	})
	return group.Wait()
}
