package desired

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Component are the objects of one component. Worker, WorkerHPA and WorkerPDB
// are nil where API pods do the work; HPA and WorkerHPA are nil without autoscaling.
type Component struct {
	ServiceAccount  *corev1ac.ServiceAccountApplyConfiguration
	Service         *corev1ac.ServiceApplyConfiguration
	Deployment      *appsv1ac.DeploymentApplyConfiguration
	HPA             *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration
	PDB             *policyv1ac.PodDisruptionBudgetApplyConfiguration
	Worker          *appsv1ac.DeploymentApplyConfiguration
	WorkerHPA       *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration
	WorkerPDB       *policyv1ac.PodDisruptionBudgetApplyConfiguration
	InitialReplicas []*appsv1ac.DeploymentApplyConfiguration
}

// Objects are the objects in the order in which they are applied.
func (c Component) Objects() []runtime.ApplyConfiguration { return nil }

// Server are the objects of PostgreSQL, Redis or the Stripe simulator. Those
// that a server does not have are nil.
type Server struct {
	ServiceAccount *corev1ac.ServiceAccountApplyConfiguration
	ConfigMap      *corev1ac.ConfigMapApplyConfiguration
	Service        *corev1ac.ServiceApplyConfiguration
	StatefulSet    *appsv1ac.StatefulSetApplyConfiguration
	Deployment     *appsv1ac.DeploymentApplyConfiguration
	PDB            *policyv1ac.PodDisruptionBudgetApplyConfiguration
}

// Objects are the objects in the order in which they are applied.
func (s Server) Objects() []runtime.ApplyConfiguration { return nil }

// Scale says how many pods there are. Without autoscaling Min and Max are the number.
type Scale struct {
	Autoscaled bool
	Min, Max   int32
	TargetCPU  int32
}

// Exposure is how the shop is reached. The gateway's Service belongs to its
// Component. HTTPRoute and Certificate are kinds of others.
type Exposure struct {
	Ingress     *networkingv1ac.IngressApplyConfiguration
	HTTPRoute   *unstructured.Unstructured
	Certificate *unstructured.Unstructured
}

// Validate finds what a person must correct in the spec.
func Validate(in Input) field.ErrorList { return nil }

// ForComponent returns the objects of a component. The error is a patch that cannot be applied.
func ForComponent(in Input, name v1alpha1.ComponentName) (Component, error) { return Component{}, nil }

// APIScale says how many pods serve a component.
func APIScale(in Input, name v1alpha1.ComponentName) Scale { return Scale{} }

// WorkerScale says how many pods work on the queues of a component; ok is false when API pods do.
func WorkerScale(in Input, name v1alpha1.ComponentName) (scale Scale, ok bool) { return Scale{}, false }

// Wave in which a rollout reaches a component.
func Wave(in Input, name v1alpha1.ComponentName) int32 { return 0 }

// PlatformImage is the image that a component runs.
func PlatformImage(in Input, name v1alpha1.ComponentName) string { return "" }

// PublicURL is the shop's address as customers see it.
func PublicURL(in Input) string { return "" }

// PostgresHost is the host of the server that the stack runs, in its namespace; "" for an External one.
func PostgresHost(in Input) string { return "" }

// RedisHost is the host of the server that the stack runs, in its namespace; "" for an External one.
func RedisHost(in Input) string { return "" }

// CertificateNames are the DNS names of the certificate of a part (a component,
// NamePostgres, NameRedis or NameSimulator), the first being the common name.
func CertificateNames(in Input, part string) []string { return nil }

// Postgres returns the server that the operator runs itself; ok is false in other modes.
func Postgres(in Input) (server Server, ok bool) { return Server{}, false }

// CloudNativePG returns the Cluster of mode Managed, nil in other modes.
func CloudNativePG(in Input) *unstructured.Unstructured { return nil }

// Redis returns the server that the operator runs itself; ok is false when it is External.
func Redis(in Input) (server Server, ok bool) { return Server{}, false }

// Simulator returns the Stripe simulator; ok is false outside Development.
func Simulator(in Input) (server Server, ok bool) { return Server{}, false }

// ObjectVolume is the claim for uploads, nil when they are in S3.
func ObjectVolume(in Input) *corev1ac.PersistentVolumeClaimApplyConfiguration { return nil }

// JobServiceAccount is the account of all Jobs.
func JobServiceAccount(in Input) *corev1ac.ServiceAccountApplyConfiguration { return nil }

// MigrateJob brings the database to the version, nil when migrations are skipped.
func MigrateJob(in Input) *batchv1ac.JobApplyConfiguration { return nil }

// CreateAdminJob makes the first administrator. It runs once in a stack's life.
func CreateAdminJob(in Input) *batchv1ac.JobApplyConfiguration { return nil }

// DemoJob loads the demo catalog, nil unless it is asked for. It runs once in a stack's life.
func DemoJob(in Input) *batchv1ac.JobApplyConfiguration { return nil }

// NetworkPolicies are all policies of a stack, none when they are off.
func NetworkPolicies(in Input) []*networkingv1ac.NetworkPolicyApplyConfiguration { return nil }

// Expose returns what makes the gateway reachable from outside the cluster.
func Expose(in Input) Exposure { return Exposure{} }

// MetricsService is the headless Service by which Prometheus finds every pod of the platform, workers included.
func MetricsService(in Input) *corev1ac.ServiceApplyConfiguration { return nil }

// ServiceMonitors are what the Prometheus operator scrapes, none when they are off or unknown to the cluster.
func ServiceMonitors(in Input) []*unstructured.Unstructured { return nil }
