package externalmetrics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/measure"
)

// freshness is how long what was read is told again.
const freshness = 5 * time.Second

// metrics are what is served, by name.
var metrics = map[string]func(measure.Queue) float64{
	desired.MetricQueueDepth:  func(q measure.Queue) float64 { return q.Depth },
	desired.MetricQueueOldest: func(q measure.Queue) float64 { return q.OldestSeconds },
}

// Queues reads what waits for the workers of a component.
type Queues interface {
	// Queue reads it from the addresses of pods' metrics.
	Queue(ctx context.Context, component string, addresses []string) (measure.Queue, error)
}

// Provider answers for the worker pods of stacks.
type Provider struct {
	pods   client.Reader
	queues Queues
	clock  clock.PassiveClock

	flights singleflight.Group
	mu      sync.Mutex
	known   map[group]measure.Queue
}

// group are the workers of one component.
type group struct{ namespace, stack, component string }

// NewProvider returns a Provider that finds pods by a reader.
func NewProvider(pods client.Reader, queues Queues, clock clock.PassiveClock) *Provider {
	return &Provider{pods: pods, queues: queues, clock: clock, known: map[group]measure.Queue{}}
}

// ListAllExternalMetrics implements provider.ExternalMetricsProvider.
func (p *Provider) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	var all []provider.ExternalMetricInfo
	for name := range metrics {
		all = append(all, provider.ExternalMetricInfo{Metric: name})
	}
	slices.SortFunc(all, func(a, b provider.ExternalMetricInfo) int { return cmp.Compare(a.Metric, b.Metric) })
	return all
}

// GetExternalMetric implements provider.ExternalMetricsProvider: one value for
// each component whose worker pods the selector selects.
func (p *Provider) GetExternalMetric(
	ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	value, ok := metrics[info.Metric]
	if !ok {
		return nil, provider.NewMetricNotFoundError(external_metrics.Resource("externalmetrics"), info.Metric)
	}
	groups, err := p.workers(ctx, namespace, selector)
	if err != nil {
		return nil, err
	}
	list := &external_metrics.ExternalMetricValueList{}
	for _, g := range slices.SortedFunc(maps.Keys(groups), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.stack, b.stack), cmp.Compare(a.component, b.component))
	}) {
		queue, err := p.queue(ctx, g, groups[g])
		if err != nil {
			return nil, unavailable(err)
		}
		list.Items = append(list.Items, external_metrics.ExternalMetricValue{
			MetricName:   info.Metric,
			MetricLabels: map[string]string{desired.LabelInstance: g.stack, desired.LabelComponent: g.component},
			Timestamp:    metav1.NewTime(queue.At),
			Value:        *resource.NewMilliQuantity(int64(math.Ceil(value(queue)*1000)), resource.DecimalSI),
		})
	}
	if len(list.Items) == 0 {
		return nil, unavailable(fmt.Errorf("namespace %s has no ready worker pod with %s", namespace, selector))
	}
	return list, nil
}

func unavailable(err error) error { return apierrors.NewServiceUnavailable(err.Error()) }

// workers are the addresses of ready worker pods, by component.
func (p *Provider) workers(ctx context.Context, namespace string, selector labels.Selector) (map[group][]string, error) {
	worker, err := labels.NewRequirement(desired.LabelRole, selection.Equals, []string{desired.RoleWorker})
	if err != nil {
		return nil, fmt.Errorf("select workers: %w", err)
	}
	pods := &corev1.PodList{}
	if err := p.pods.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector.Add(*worker)}); err != nil {
		return nil, fmt.Errorf("list worker pods: %w", err)
	}
	groups := map[group][]string{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || pod.Status.PodIP == "" || !ready(pod) || pod.Labels[desired.LabelName] != desired.AppName {
			continue
		}
		g := group{pod.Namespace, pod.Labels[desired.LabelInstance], pod.Labels[desired.LabelComponent]}
		groups[g] = append(groups[g], net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(metricsPort(pod))))
	}
	return groups, nil
}

// metricsPort is where a pod tells its metrics.
func metricsPort(pod *corev1.Pod) int {
	for i := range pod.Spec.Containers {
		for _, port := range pod.Spec.Containers[i].Ports {
			if port.Name == "metrics" {
				return int(port.ContainerPort)
			}
		}
	}
	return int(desired.PortMetrics)
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// queue reads the queues of a component, or tells what was read a moment ago.
// Whoever asks at the same time shares the answer.
func (p *Provider) queue(ctx context.Context, g group, addresses []string) (measure.Queue, error) {
	if q, ok := p.recent(g); ok {
		return q, nil
	}
	answer, err, _ := p.flights.Do(g.namespace+"/"+g.stack+"/"+g.component, func() (any, error) {
		// One that asked first and went away must not take the answer from the others.
		q, err := p.queues.Queue(context.WithoutCancel(ctx), g.component, addresses)
		if err != nil {
			return nil, err
		}
		p.remember(g, q)
		return q, nil
	})
	if err != nil {
		return measure.Queue{}, err
	}
	q, _ := answer.(measure.Queue)
	return q, nil
}

func (p *Provider) recent(g group) (measure.Queue, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.known[g]
	return q, ok && p.clock.Since(q.At) < freshness
}

// remember keeps what was read, and drops what is too old to be told.
func (p *Provider) remember(g group, q measure.Queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, old := range p.known {
		if p.clock.Since(old.At) >= freshness {
			delete(p.known, other)
		}
	}
	p.known[g] = q
}
