// Command operator runs CommerceStacks in a Kubernetes cluster.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/conversion"
	"github.com/commercestack/commercestack/controllers/rotation"
)

type flags struct {
	PlatformImage string   `env:"OPERATOR_PLATFORM_IMAGE" help:"Repository of the platform's image, without a tag." required:""`
	PostgresImage string   `env:"OPERATOR_POSTGRES_IMAGE" help:"Image of PostgreSQL." required:""`
	RedisImage    string   `env:"OPERATOR_REDIS_IMAGE" help:"Image of Redis." required:""`
	Namespaces    []string `env:"OPERATOR_NAMESPACES" help:"Namespaces to look at; none is all."`
	MetricsListen string   `default:":8080" env:"OPERATOR_METRICS_LISTEN" help:"Address of /metrics; 0 is off."`
	ProbeListen   string   `default:":8081" env:"OPERATOR_PROBE_LISTEN" help:"Address of /healthz and /readyz; 0 is off."`
	LeaderElect   bool     `env:"OPERATOR_LEADER_ELECT" help:"Let one of several operators act."`
	LeaseNS       string   `env:"OPERATOR_LEASE_NAMESPACE" help:"Namespace of the lease; empty is the pod's own." name:"lease-namespace"`
	ClusterDomain string   `default:"cluster.local" env:"OPERATOR_CLUSTER_DOMAIN" help:"Domain of Services."`
	PrometheusURL string   `env:"OPERATOR_PROMETHEUS_URL" help:"Address of a Prometheus that answers the queries of rollouts." name:"prometheus-url"`
	Namespace     string   `env:"OPERATOR_NAMESPACE" help:"Namespace the operator runs in, from which it reads the metrics of canaries."`
	Concurrency   int      `default:"4" env:"OPERATOR_CONCURRENCY" help:"How many stacks are visited at a time."`

	Conversion        bool   `env:"OPERATOR_CONVERSION" help:"Serve the webhook that converts stacks between versions of the API."`
	ConversionService string `default:"commercestack-operator-webhook" env:"OPERATOR_CONVERSION_SERVICE" help:"Service that leads to the webhook, and Secret of its certificate."`
	ConversionPort    int    `default:"9443" env:"OPERATOR_CONVERSION_PORT" help:"Port of the webhook."`

	// Waits of rotations, shortened for tests on a cluster: what is signed or sealed
	// must be able to live as long as the platform lets it.
	RotationSettle         time.Duration `env:"OPERATOR_ROTATION_SETTLE" help:"How long a file that is replaced in place takes to reach its server." hidden:""`
	RotationIdentityLife   time.Duration `env:"OPERATOR_ROTATION_IDENTITY_LIFE" help:"How long what an identity key signed is accepted." hidden:""`
	RotationWebhookOverlap time.Duration `env:"OPERATOR_ROTATION_WEBHOOK_OVERLAP" help:"How long Stripe signs with both secrets." hidden:""`
	RotationSigningLead    time.Duration `env:"OPERATOR_ROTATION_SIGNING_LEAD" help:"How long a token key is published before it signs." hidden:""`
	RotationSigningLife    time.Duration `env:"OPERATOR_ROTATION_SIGNING_LIFE" help:"How long a token is accepted." hidden:""`

	LogLevel string `default:"info" enum:"debug,info,warn,error" env:"OPERATOR_LOG_LEVEL" help:"Lowest level that is logged."`
}

// gcPercent trades the processor's time for memory: the operator mostly waits,
// and what it knows of stacks is most of its heap.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1) //nolint:gocritic // the signal handler dies with the process
	}
}

func run(ctx context.Context) error {
	var f flags
	kong.Parse(&f, kong.Name("operator"), kong.Description("Runs CommerceStacks in a Kubernetes cluster."))
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return err
	}
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	return controllers.Run(ctx, cluster, controllers.Config{
		Images:     desired.Images{Platform: f.PlatformImage, Postgres: f.PostgresImage, Redis: f.RedisImage},
		Namespaces: f.Namespaces, MetricsListen: f.MetricsListen, ProbeListen: f.ProbeListen, LeaderElect: f.LeaderElect, LeaseNamespace: f.LeaseNS,
		ClusterDomain: f.ClusterDomain, PrometheusURL: f.PrometheusURL, Namespace: f.Namespace, Concurrency: f.Concurrency,
		Rotation: rotation.Policy{
			Settle: f.RotationSettle, IdentityLife: f.RotationIdentityLife, WebhookOverlap: f.RotationWebhookOverlap,
			SigningLead: f.RotationSigningLead, SigningLife: f.RotationSigningLife,
		},
		Conversion: f.conversion(logger),
		Logger:     logger,
	})
}

// conversion is the webhook's configuration, nil if it is off.
func (f *flags) conversion(logger *slog.Logger) *conversion.Config {
	if !f.Conversion {
		return nil
	}
	config := conversion.DefaultConfig()
	config.Namespace, config.Service, config.Port, config.Logger = f.Namespace, f.ConversionService, f.ConversionPort, logger
	return &config
}
