package commercestack

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/measure"
	"github.com/commercestack/commercestack/controllers/notify"
	"github.com/commercestack/commercestack/controllers/rotation"
)

const (
	// FieldManager owns every field that the operator applies.
	FieldManager = desired.ManagedBy
	// ReplicasManager owns the first number of pods of an autoscaled Deployment.
	ReplicasManager = "commercestack-replicas"
	// visitTimeout bounds one visit.
	visitTimeout = 2 * time.Minute
	// resync is how often a stack is visited when nothing happens; up to half of it is added.
	resync = 10 * time.Hour
)

// Config is what a Reconciler needs.
type Config struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Mapper knows the kinds of the cluster.
	Mapper meta.RESTMapper
	// Recorder takes events.
	Recorder recorder.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
	// Images the operator was installed with.
	Images desired.Images
	// ClusterDomain of Services, such as cluster.local.
	ClusterDomain string
	// Rotation replaces waits and limits of rotations, where it is not zero.
	Rotation rotation.Policy
	// Measurer looks at canaries and at the gateways before them.
	Measurer Measurer
	// Namespace the operator runs in, empty where nobody knows.
	Namespace string
	// PrometheusURL is the address of a Prometheus that scrapes stacks, empty without.
	PrometheusURL string
	// HTTP tells receivers of notices, nil for a client of its own.
	HTTP *http.Client
}

// Measurer looks at canaries and at the gateways before them.
type Measurer interface {
	// Weights are the shares in percent that a gateway's pod gives canaries, by component.
	Weights(ctx context.Context, address string) (map[string]int32, error)
	// Volume asks pods, one after the other, about their database's volume.
	Volume(ctx context.Context, addresses []string) (measure.Volume, error)
	// Begin is called before the first measurement of a question, and may be again.
	Begin(ctx context.Context, q measure.Question)
	// Measure answers a question, nil without data. measure.ErrEarly means to ask later.
	Measure(ctx context.Context, q measure.Question) (*float64, error)
}

// Validate finds what is missing.
func (c Config) Validate() error {
	switch {
	case c.Client == nil, c.Live == nil, c.Mapper == nil, c.Recorder == nil, c.Clock == nil, c.Measurer == nil:
		return fmt.Errorf("the reconciler lacks a client, a mapper, a recorder, a clock or a measurer")
	case c.Images.Platform == "" || c.Images.Postgres == "" || c.Images.Redis == "":
		return fmt.Errorf("the images of the platform, of PostgreSQL and of Redis must be given")
	case c.ClusterDomain == "":
		return fmt.Errorf("the cluster's domain must be given")
	}
	return nil
}

// Reconciler visits stacks.
type Reconciler struct {
	Config
	applier *apply.Applier
	foreign *foreignKinds
	phases  []phase
	// measured waits for the next visit of its stack.
	measured measured
	// written is what the cache must have seen before a visit.
	written written
	courier *notify.Courier
}

// phase is one step of a visit.
type phase struct {
	name string
	run  func(*visit, context.Context) Result
}

// New returns a Reconciler.
func New(config Config) (*Reconciler, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Reconciler{
		Config: config,
		applier: apply.New(apply.Config{
			Client: config.Client, Live: config.Live, FieldManager: FieldManager, InitialManager: ReplicasManager,
		}),
		foreign: newForeignKinds(config.Client, config.Mapper),
		courier: notify.NewCourier(config.HTTP),
		phases: []phase{
			{"delete", (*visit).finalize},
			{"pause", (*visit).pause},
			{"preflight", (*visit).preflight},
			{"revision", (*visit).openRollout},
			{"certificates", (*visit).certificates},
			{"external", (*visit).external},
			{"vault", (*visit).openVault},
			{"rotation", (*visit).rotate},
			{"secrets", (*visit).secrets},
			{"storage", (*visit).storage},
			{"data", (*visit).data},
			{"restore", (*visit).restore},
			{"backup", (*visit).backup},
			{"rollout", (*visit).rollout},
			{"notify", (*visit).notify},
			{"migrate", (*visit).migrate},
			{"sales", (*visit).sales},
			{"services", (*visit).services},
			{"bootstrap", (*visit).bootstrap},
			{"policy", (*visit).policy},
			{"expose", (*visit).expose},
			{"observability", (*visit).observability},
			{"prune", (*visit).prune},
		},
	}, nil
}

// Reconcile visits one stack.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	stack := &v1alpha1.CommerceStack{}
	if err := r.Client.Get(ctx, request.NamespacedName, stack); err != nil {
		forgetMetrics(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.written.newer(stack) {
		return ctrl.Result{RequeueAfter: catchUp}, nil
	}
	v := r.begin(stack)
	for _, phase := range r.phases {
		started := r.Clock.Now()
		v.outcome.Add(phase.name, phase.run(v, ctx))
		phaseSeconds.WithLabelValues(phase.name).Observe(r.Clock.Since(started).Seconds())
		if v.outcome.stopped {
			break
		}
	}
	if v.gone {
		r.applier.Forget(stack.UID)
		r.forgetMeasurements(stack.UID)
		r.written.forget(stack.UID)
		forgetMetrics(request.NamespacedName)
		return ctrl.Result{}, v.outcome.Err()
	}
	if err := v.finish(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := v.outcome.Err(); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: v.nextVisit()}, nil
}
