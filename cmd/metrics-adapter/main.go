// Command metrics-adapter serves the queues of CommerceStacks as external metrics
// of Kubernetes, by which their workers are scaled.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/commercestack/commercestack/controllers/externalmetrics"
)

type flags struct {
	Kubeconfig string   `env:"KUBECONFIG" help:"File of the cluster; empty is the pod's own account."`
	Namespaces []string `env:"ADAPTER_NAMESPACES" help:"Namespaces to look for pods in; none is all."`
	Port       int      `default:"6443" env:"ADAPTER_PORT" help:"Port of HTTPS."`
	Namespace  string   `env:"ADAPTER_NAMESPACE" help:"Namespace of the Service that leads here." required:""`
	Service    string   `env:"ADAPTER_SERVICE" help:"Name of the Service that leads here." required:""`
	LogLevel   string   `default:"info" enum:"debug,info,warn,error" env:"ADAPTER_LOG_LEVEL" help:"Lowest level that is logged."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "metrics-adapter:", err)
		os.Exit(1) //nolint:gocritic // the signal handler dies with the process
	}
}

func run(ctx context.Context) error {
	var f flags
	kong.Parse(&f, kong.Name("metrics-adapter"), kong.Description("Serves the queues of CommerceStacks as external metrics of Kubernetes."))
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return err
	}
	return externalmetrics.Run(ctx, externalmetrics.Config{
		Kubeconfig: f.Kubeconfig, Namespaces: f.Namespaces, Port: f.Port, Namespace: f.Namespace, Service: f.Service,
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
}
