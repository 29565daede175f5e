package commercestack_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/saleevent"
)

func (w *world) scale(t *testing.T, name string) (least, most int32) {
	t.Helper()
	hpa := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := w.Get(t.Context(), key(w.namespace, name), hpa); err != nil {
		t.Fatal(err)
	}
	return *hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas
}

func (w *world) variable(t *testing.T, deployment, name string) string {
	t.Helper()
	found := &appsv1.Deployment{}
	if err := w.Get(t.Context(), key(w.namespace, deployment), found); err != nil {
		t.Fatal(err)
	}
	for _, env := range found.Spec.Template.Spec.Containers[0].Env {
		if env.Name == name {
			return env.Value
		}
	}
	return ""
}

func TestASaleComesAndGoes(t *testing.T) {
	t.Parallel()
	start := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	w := newWorld(t, withClock(clock))
	stack := w.install(t, w.production(t))
	revision := stack.Status.CurrentRevision
	sale := &v1alpha1.SaleEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "friday"},
		Spec: v1alpha1.SaleEventSpec{
			StackRef: v1alpha1.StackRef{Name: "shop"}, Start: metav1.NewTime(start), End: metav1.NewTime(start.Add(time.Hour)),
			Services:       []v1alpha1.SaleService{{Name: v1alpha1.ComponentGateway, MinReplicas: 6, MaxReplicas: ptr.To[int32](20)}},
			RateLimits:     map[string]v1alpha1.RateLimit{"read": "100/1s:200"},
			ReservationTTL: &metav1.Duration{Duration: 5 * time.Minute},
		},
	}
	if err := w.Create(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	teller := &saleevent.Reconciler{Client: w.Client, Clock: clock}
	expect := func(when time.Time, phase string, least, most int32, limits, ttl string) {
		t.Helper()
		clock.SetTime(when)
		stack = w.settle(t, stack)
		w.playCluster(t)
		stack = w.settle(t, stack)
		if l, m := w.scale(t, "shop-gateway"); l != least || m != most {
			t.Errorf("%s: the gateway has %d to %d pods, want %d to %d", phase, l, m, least, most)
		}
		if got := w.variable(t, "shop-gateway", "COMMERCE_GATEWAY_RATE_LIMITS"); got != limits {
			t.Errorf("%s: limits %q, want %q", phase, got, limits)
		}
		if got := w.variable(t, "shop-order", "COMMERCE_ORDER_RESERVATION_TTL"); got != ttl {
			t.Errorf("%s: reservations last %q, want %q", phase, got, ttl)
		}
		if l, m := w.scale(t, "shop-order"); l != 2 || m != 10 {
			t.Errorf("%s: order has %d to %d pods", phase, l, m)
		}
		if stack.Status.UpdateRevision != revision || stack.Status.CurrentRevision != revision || isTrue(stack, v1alpha1.ConditionAwaitingApproval) {
			t.Errorf("%s: a sale became a rollout", phase)
		}
		result, err := teller.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(sale)})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(sale), sale); err != nil {
			t.Fatal(err)
		}
		if sale.Status.Phase != phase || !meta.IsStatusConditionTrue(sale.Status.Conditions, v1alpha1.ConditionAccepted) {
			t.Errorf("the status of the event: %+v, want %s", sale.Status, phase)
		}
		if (result.RequeueAfter > 0) == (phase == v1alpha1.SaleEnded) {
			t.Errorf("%s: looked at again after %s", phase, result.RequeueAfter)
		}
	}
	expect(start.Add(-time.Hour), v1alpha1.SalePending, 2, 10, "", "")
	expect(start.Add(-10*time.Minute), v1alpha1.SalePreScaling, 6, 20, "", "")
	if meta.IsStatusConditionTrue(sale.Status.Conditions, v1alpha1.ConditionScaled) {
		t.Error("Scaled although nobody added a pod")
	}
	expect(start, v1alpha1.SaleActive, 6, 20, "read=100/1s:200", "5m0s")
	expect(start.Add(time.Hour), v1alpha1.SaleEnded, 2, 10, "", "")

	// Another one is deleted in the middle.
	second := &v1alpha1.SaleEvent{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "monday"}, Spec: *sale.Spec.DeepCopy()}
	second.Spec.End = metav1.NewTime(start.Add(10 * time.Hour))
	if err := w.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	stack = w.settle(t, stack)
	if l, _ := w.scale(t, "shop-gateway"); l != 6 || len(stack.Status.Sales) != 1 {
		t.Errorf("%d pods, sales %v", l, stack.Status.Sales)
	}
	if err := w.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	stack = w.settle(t, stack)
	if l, m := w.scale(t, "shop-gateway"); l != 2 || m != 10 || len(stack.Status.Sales) != 0 {
		t.Errorf("after the deletion: %d to %d pods, sales %v", l, m, stack.Status.Sales)
	}
}

// An event that needs more connections than the database has is refused, and the stack goes on.
func TestASaleThatDoesNotFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.production(t))
	now := time.Now()
	sale := &v1alpha1.SaleEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "huge"},
		Spec: v1alpha1.SaleEventSpec{
			StackRef: v1alpha1.StackRef{Name: "shop"}, Start: metav1.NewTime(now.Add(-time.Minute)), End: metav1.NewTime(now.Add(time.Hour)),
			Services: []v1alpha1.SaleService{{Name: v1alpha1.ComponentOrder, MinReplicas: 100}},
		},
	}
	if err := w.Create(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	stack = w.settle(t, stack)
	if l, _ := w.scale(t, "shop-order"); l != 2 || isTrue(stack, v1alpha1.ConditionStalled) || len(stack.Status.Sales) != 0 {
		t.Errorf("%d pods:%s", l, describe(stack))
	}
	teller := &saleevent.Reconciler{Client: w.Client, Clock: w.clock}
	request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(sale)}
	if _, err := teller.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := w.Get(t.Context(), request.NamespacedName, sale); err != nil {
		t.Fatal(err)
	}
	if c := meta.FindStatusCondition(sale.Status.Conditions, v1alpha1.ConditionAccepted); c == nil || c.Reason != "DoesNotFit" {
		t.Errorf("%+v", sale.Status)
	}
	if err := w.Delete(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if _, err := teller.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := w.Get(t.Context(), request.NamespacedName, sale); err != nil {
		t.Fatal(err)
	}
	if c := meta.FindStatusCondition(sale.Status.Conditions, v1alpha1.ConditionAccepted); c == nil || c.Reason != "StackMissing" {
		t.Errorf("without its stack: %+v", sale.Status)
	}
}

func TestRulesOfSales(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	for name, change := range map[string]func(*v1alpha1.SaleEventSpec){
		"":                      func(*v1alpha1.SaleEventSpec) {},
		"ends before it begins": func(s *v1alpha1.SaleEventSpec) { s.End = metav1.NewTime(now.Add(-time.Hour)) },
		"ends at once":          func(s *v1alpha1.SaleEventSpec) { s.End = now },
		"lasts for ever":        func(s *v1alpha1.SaleEventSpec) { s.End = metav1.NewTime(now.AddDate(1, 0, 0)) },
		"no limit":              func(s *v1alpha1.SaleEventSpec) { s.RateLimits = map[string]v1alpha1.RateLimit{"read": "0"} },
		"a limit of nothing":    func(s *v1alpha1.SaleEventSpec) { s.RateLimits = map[string]v1alpha1.RateLimit{"readd": "1/1s:1"} },
		"min above max": func(s *v1alpha1.SaleEventSpec) {
			s.Services = []v1alpha1.SaleService{{Name: "order", MinReplicas: 5, MaxReplicas: ptr.To[int32](4)}}
		},
		"an unknown component": func(s *v1alpha1.SaleEventSpec) {
			s.Services = []v1alpha1.SaleService{{Name: "checkout", MinReplicas: 5}}
		},
		"a day before":           func(s *v1alpha1.SaleEventSpec) { s.LeadTime = metav1.Duration{Duration: 25 * time.Hour} },
		"reservations of no use": func(s *v1alpha1.SaleEventSpec) { s.ReservationTTL = &metav1.Duration{Duration: time.Second} },
	} {
		sale := &v1alpha1.SaleEvent{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: "sale-"}, Spec: v1alpha1.SaleEventSpec{
			StackRef: v1alpha1.StackRef{Name: "shop"}, Start: now, End: metav1.NewTime(now.Add(time.Hour)),
		}}
		change(&sale.Spec)
		err := w.Create(t.Context(), sale)
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
		if name == "" && sale.Spec.LeadTime.Duration != 10*time.Minute {
			t.Errorf("the lead time is %s", sale.Spec.LeadTime.Duration)
		}
	}
}
