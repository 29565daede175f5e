package plugin

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// noon is the present of every test.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

func beforePtr(d time.Duration) *metav1.Time { return ptr.To(before(d)) }

// shop is a stack in a namespace of its own and everything the operator made of it.
type shop struct {
	namespace string
	stack     *v1alpha1.CommerceStack
	objects   []client.Object
}

// newShop is a shop in which everything fares well.
func newShop(t *testing.T, namespace string) *shop {
	t.Helper()
	stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: namespace, Generation: 1}}
	stack.Spec.Version = "1.4.0"
	stack.Spec.Environment = v1alpha1.EnvironmentDevelopment
	stack.Spec.ReconcilePolicy = v1alpha1.ReconcileManaged
	stack.Spec.Redis.Mode = v1alpha1.DataStatefulSet
	stack.Spec.Gateway.TLS.Mode = v1alpha1.GatewayTLSInternal
	for _, kind := range v1alpha1.ConditionTypes {
		status := metav1.ConditionTrue
		switch kind {
		case v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionPaused, v1alpha1.ConditionRollingOut, v1alpha1.ConditionAwaitingApproval:
			status = metav1.ConditionFalse
		}
		stack.Status.Conditions = append(stack.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: "AsItShouldBe", LastTransitionTime: before(3 * time.Hour), ObservedGeneration: 1,
		})
	}
	stack.Status.ObservedGeneration = 1
	stack.Status.Version = "1.4.0"
	stack.Status.PostgresMode = v1alpha1.DataStatefulSet
	stack.Status.CurrentRevision, stack.Status.UpdateRevision = "5f1c", "5f1c"
	stack.Status.URL = "https://demo-gateway." + namespace + ".svc"
	stack.Status.Migration = &v1alpha1.MigrationStatus{ID: "77aa", State: v1alpha1.MigrationSucceeded, FinishedAt: beforePtr(3 * time.Hour)}
	stack.Status.Secrets = []v1alpha1.SecretStatus{
		{Name: "ca", State: "Current", ActiveID: "1", RotatedAt: beforePtr(240 * time.Hour), ExpiresAt: beforePtr(-8520 * time.Hour)},
		{Name: "postgres-order", State: "Current", ActiveID: "a", RotatedAt: beforePtr(240 * time.Hour), ExpiresAt: beforePtr(-1920 * time.Hour)},
	}
	s := &shop{namespace: namespace, stack: withDurations(stack)}
	for _, name := range []string{"postgres", "redis"} {
		s.add(s.newStatefulSet(name), s.newPod(name, "", 0))
	}
	for _, name := range componentNames {
		s.add(s.newDeployment(string(name), ""), s.newPod(string(name), "", 0), s.newPod(string(name), "", 1))
	}
	s.add(s.newDeployment("order", v1alpha1.RoleWorker), s.newPod("order", v1alpha1.RoleWorker, 0), s.newPod("order", v1alpha1.RoleWorker, 1), s.newHPA("order"))
	s.add(s.newCertificate(t, "demo-ca", 8520*time.Hour), s.newCertificate(t, "demo-order-tls", 720*time.Hour))
	return s
}

// withDurations sets what Go would send as 0s, where a manifest leaves it out.
func withDurations(stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	stack.Spec.Secrets.Interval.Duration, stack.Spec.Secrets.RenewBefore.Duration = 2160*time.Hour, 168*time.Hour
	return stack
}

func (s *shop) add(objects ...client.Object) { s.objects = append(s.objects, objects...) }

// find is the object of that type and name.
func find[T client.Object](s *shop, name string) T {
	for _, object := range s.objects {
		if found, ok := object.(T); ok && object.GetName() == name {
			return found
		}
	}
	panic("no " + name)
}

func (s *shop) meta(name, component, role string) metav1.ObjectMeta {
	labels := map[string]string{v1alpha1.LabelName: v1alpha1.AppName, v1alpha1.LabelInstance: s.stack.Name, v1alpha1.LabelComponent: component}
	if role != "" {
		labels[v1alpha1.LabelRole] = role
	}
	return metav1.ObjectMeta{Name: name, Namespace: s.namespace, Labels: labels, Generation: 1}
}

func (s *shop) template(component, role string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: s.meta("", component, role).Labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: component, Image: "commercestack:1.4.0"}}},
	}
}

func workloadName(component, role string) string {
	if role == v1alpha1.RoleWorker {
		return "demo-" + component + "-worker"
	}
	return "demo-" + component
}

func (s *shop) newDeployment(component, role string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: s.meta(workloadName(component, role), component, role)}
	d.Spec.Replicas = ptr.To[int32](2)
	d.Spec.Template = s.template(component, role)
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: d.Spec.Template.Labels}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 2, ReadyReplicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}
	return d
}

func (s *shop) newStatefulSet(component string) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{ObjectMeta: s.meta(workloadName(component, ""), component, "")}
	set.Spec.Replicas = ptr.To[int32](1)
	set.Spec.Template = s.template(component, "")
	set.Spec.Template.Spec.Containers[0].Image = component + ":18"
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: set.Spec.Template.Labels}
	set.Spec.ServiceName = set.Name
	set.Status = appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, ReadyReplicas: 1, CurrentReplicas: 1, UpdatedReplicas: 1}
	return set
}

func (s *shop) newPod(component, role string, index int) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: s.meta(workloadName(component, role)+"-"+string(rune('a'+index)), component, role)}
	pod.Generation = 0
	pod.Spec = s.template(component, role).Spec
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return pod
}

func (s *shop) newHPA(component string) *autoscalingv2.HorizontalPodAutoscaler {
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: s.meta(workloadName(component, ""), component, "")}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: hpa.Name}
	hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas = ptr.To[int32](2), 10
	hpa.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name:   corev1.ResourceCPU,
		Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](60)},
	}}}
	hpa.Status.CurrentReplicas, hpa.Status.DesiredReplicas = 2, 2
	hpa.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
		Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: ptr.To[int32](34)},
	}}}
	hpa.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue, Reason: "ValidMetricFound"}}
	return hpa
}

func (s *shop) newCertificate(t *testing.T, name string, left time.Duration) *corev1.Secret {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: noon.Add(-1000 * time.Hour), NotAfter: noon.Add(left)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: s.meta(name, "order", ""), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			corev1.TLSPrivateKeyKey: []byte("not read"),
		},
	}
}

func (s *shop) newWarning(kind, name, reason, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name + "." + reason, Namespace: s.namespace},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name, Namespace: s.namespace},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: before(time.Minute),
	}
}

func (s *shop) condition(kind string, status metav1.ConditionStatus, reason, message string) {
	for i := range s.stack.Status.Conditions {
		if c := &s.stack.Status.Conditions[i]; c.Type == kind {
			c.Status, c.Reason, c.Message, c.LastTransitionTime = status, reason, message, before(5*time.Minute)
		}
	}
}

// snapshot is what reading the shop from a cluster gives.
func (s *shop) snapshot() snapshot {
	read := snapshot{stack: *s.stack}
	for _, object := range s.objects {
		switch o := object.(type) {
		case *appsv1.Deployment:
			read.deployments = append(read.deployments, *o)
		case *appsv1.StatefulSet:
			read.statefulSets = append(read.statefulSets, *o)
		case *autoscalingv2.HorizontalPodAutoscaler:
			read.autoscalers = append(read.autoscalers, *o)
		case *batchv1.Job:
			read.jobs = append(read.jobs, *o)
		case *corev1.Pod:
			read.pods = append(read.pods, *o)
		case *corev1.Secret:
			read.certificates = append(read.certificates, *o)
		case *corev1.Event:
			read.warnings = append(read.warnings, *o)
		}
	}
	return read
}

// tree is a report as it is printed without colours.
func tree(r report, expand bool) string {
	var out bytes.Buffer
	printer{out: &out, expand: expand}.write(r.Tree)
	return out.String()
}
