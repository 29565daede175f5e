package commercestack

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// backupAges tells how old newest backups are when it is asked: a stack at rest is not visited.
type backupAges struct {
	mu    sync.Mutex
	taken map[types.NamespacedName]time.Time
	age   *prometheus.Desc
	now   func() time.Time
}

var (
	backupAge = &backupAges{
		taken: map[types.NamespacedName]time.Time{}, now: time.Now,
		age: prometheus.NewDesc("commerce_operator_backup_age_seconds", "Age of the newest complete backup of a stack.", []string{"namespace", "stack"}, nil),
	}
	drillFailed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commerce_operator_restore_drill_failed", Help: "1 when the newest restore drill of a stack failed, else 0.",
	}, []string{"namespace", "stack"})
	drillRPO = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commerce_operator_restore_drill_rpo_seconds", Help: "How old the newest backup was at the newest restore drill.",
	}, []string{"namespace", "stack"})
	drillRTO = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commerce_operator_restore_drill_rto_seconds", Help: "How long the newest restore drill took, until everything was examined.",
	}, []string{"namespace", "stack"})
)

func init() { //nolint:gochecknoinits // the registry of controller-runtime is a global that is filled this way
	metrics.Registry.MustRegister(backupAge, drillFailed, drillRPO, drillRTO)
}

// Describe implements prometheus.Collector.
func (b *backupAges) Describe(out chan<- *prometheus.Desc) { out <- b.age }

// Collect implements prometheus.Collector.
func (b *backupAges) Collect(out chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for stack, at := range b.taken {
		out <- prometheus.MustNewConstMetric(b.age, prometheus.GaugeValue, b.now().Sub(at).Seconds(), stack.Namespace, stack.Name)
	}
}

// measureBackups shows what the status says of backups.
func measureBackups(stack types.NamespacedName, status *v1alpha1.BackupStatus) {
	if status == nil {
		forgetBackups(stack)
		return
	}
	if status.LastSuccess != nil {
		backupAge.mu.Lock()
		backupAge.taken[stack] = status.LastSuccess.Time
		backupAge.mu.Unlock()
	}
	if status.LastDrill == nil && status.LastDrillError == "" {
		return
	}
	broken := 0.0
	if status.LastDrillError != "" {
		broken = 1
	}
	drillFailed.WithLabelValues(stack.Namespace, stack.Name).Set(broken)
	if status.RPO != nil && status.RTO != nil {
		drillRPO.WithLabelValues(stack.Namespace, stack.Name).Set(status.RPO.Seconds())
		drillRTO.WithLabelValues(stack.Namespace, stack.Name).Set(status.RTO.Seconds())
	}
}

// forgetBackups drops the series of a stack without backups.
func forgetBackups(stack types.NamespacedName) {
	backupAge.mu.Lock()
	delete(backupAge.taken, stack)
	backupAge.mu.Unlock()
	labels := prometheus.Labels{"namespace": stack.Namespace, "stack": stack.Name}
	for _, gauge := range []*prometheus.GaugeVec{drillFailed, drillRPO, drillRTO} {
		gauge.DeletePartialMatch(labels)
	}
}
