package saleevent

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// sale is an event of an hour with ten minutes before it.
func sale(name string, start time.Time, change func(*v1alpha1.SaleEventSpec)) v1alpha1.SaleEvent {
	event := v1alpha1.SaleEvent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.SaleEventSpec{
		StackRef: v1alpha1.StackRef{Name: "shop"}, Start: metav1.NewTime(start), End: metav1.NewTime(start.Add(time.Hour)),
		LeadTime: metav1.Duration{Duration: 10 * time.Minute},
	}}
	if change != nil {
		change(&event.Spec)
	}
	return event
}

func TestPhases(t *testing.T) {
	t.Parallel()
	event := sale("a", noon, nil)
	for _, tt := range []struct {
		at    time.Duration
		phase string
		next  time.Duration
	}{
		{-time.Hour, v1alpha1.SalePending, -10 * time.Minute},
		{-10*time.Minute - 1, v1alpha1.SalePending, -10 * time.Minute},
		{-10 * time.Minute, v1alpha1.SalePreScaling, 0},
		{-1, v1alpha1.SalePreScaling, 0},
		{0, v1alpha1.SaleActive, time.Hour},
		{time.Hour - 1, v1alpha1.SaleActive, time.Hour},
	} {
		if phase := Phase(&event.Spec, noon.Add(tt.at)); phase != tt.phase {
			t.Errorf("%s: %s, want %s", tt.at, phase, tt.phase)
		}
		if next, ok := Next(&event.Spec, noon.Add(tt.at)); !ok || !next.Equal(noon.Add(tt.next)) {
			t.Errorf("%s: next is %s, %v", tt.at, next, ok)
		}
	}
	if phase := Phase(&event.Spec, noon.Add(time.Hour)); phase != v1alpha1.SaleEnded {
		t.Errorf("at its end it is %s", phase)
	}
	if next, ok := Next(&event.Spec, noon.Add(time.Hour)); ok {
		t.Errorf("after its end something comes at %s", next)
	}
}

func replicas(name v1alpha1.ComponentName, least, most int32) v1alpha1.SaleService {
	s := v1alpha1.SaleService{Name: name, MinReplicas: least}
	if most > 0 {
		s.MaxReplicas = &most
	}
	return s
}

func TestOverlappingEvents(t *testing.T) {
	t.Parallel()
	ttl := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	first := sale("first", noon, func(s *v1alpha1.SaleEventSpec) {
		s.Services = []v1alpha1.SaleService{replicas("order", 5, 9), replicas("gateway", 3, 0)}
		s.RateLimits = map[string]v1alpha1.RateLimit{"read": "100/1s:10", "write": "10/1s:10"}
		s.ReservationTTL = ttl(5 * time.Minute)
	})
	second := sale("second", noon.Add(30*time.Minute), func(s *v1alpha1.SaleEventSpec) {
		s.Services = []v1alpha1.SaleService{replicas("order", 7, 8)}
		s.RateLimits = map[string]v1alpha1.RateLimit{"read": "50/1s:900"}
		s.ReservationTTL = ttl(8 * time.Minute)
	})
	other := sale("other", noon, func(s *v1alpha1.SaleEventSpec) { s.StackRef.Name = "another" })
	deleted := sale("deleted", noon, func(s *v1alpha1.SaleEventSpec) { s.Services = []v1alpha1.SaleService{replicas("user", 50, 0)} })
	now := metav1.NewTime(noon)
	deleted.DeletionTimestamp = &now
	overlay, next := Plan([]v1alpha1.SaleEvent{second, other, first, deleted}, "shop", noon.Add(35*time.Minute))
	want := Overlay{
		Events:     []string{"first", "second"},
		Services:   map[v1alpha1.ComponentName]Replicas{"order": {7, 9}, "gateway": {3, 0}},
		RateLimits: map[string]v1alpha1.RateLimit{"read": "50/1s:900", "write": "10/1s:10"}, ReservationTTL: 5 * time.Minute,
	}
	if !reflect.DeepEqual(overlay, want) || !next.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v until %s", overlay, next)
	}
	overlay, next = Plan([]v1alpha1.SaleEvent{first, second}, "shop", noon.Add(25*time.Minute))
	if overlay.Services["order"] != (Replicas{7, 9}) || overlay.RateLimits["read"] != "100/1s:10" || !next.Equal(noon.Add(30*time.Minute)) {
		t.Errorf("while the second one only scales: %+v until %s", overlay, next)
	}
	if overlay, next = Plan([]v1alpha1.SaleEvent{first, second}, "shop", noon.Add(3*time.Hour)); len(overlay.Events) != 0 || !next.IsZero() {
		t.Errorf("afterwards: %+v until %s", overlay, next)
	}
}

func TestTighter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ a, b, want v1alpha1.RateLimit }{
		{"100/1s:10", "50/1s:900", "50/1s:900"},
		{"100/1s:10", "100/1s:9", "100/1s:9"},
		{"60/1m:60", "2/1s:1", "60/1m:60"},
		{"0", "500/1s:1000", "500/1s:1000"},
		{"500/1s:1000", "", "500/1s:1000"},
		{"", "nonsense", "nonsense"},
		{"7/1s:7", "nonsense", "7/1s:7"},
	} {
		if got := Tighter(tt.a, tt.b); got != tt.want {
			t.Errorf("Tighter(%q, %q) = %q", tt.a, tt.b, got)
		}
	}
}

func input(environment v1alpha1.Environment, services ...v1alpha1.ServiceSpec) desired.Input {
	stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	stack.Spec.Environment, stack.Spec.Services = environment, services
	return desired.Input{Stack: stack, RenderRevision: 1, PostgresMode: v1alpha1.DataStatefulSet}
}

func TestOverlaysOnlyRaiseAndTighten(t *testing.T) {
	t.Parallel()
	big := v1alpha1.ServiceSpec{Name: "order", Autoscaling: &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingHPA, MinReplicas: 8, MaxReplicas: 30, TargetCPUUtilization: 55}}
	fixed := v1alpha1.ServiceSpec{Name: "order", Autoscaling: &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingOff}}
	four := int32(4)
	fixed.Replicas = &four
	for name, tt := range map[string]struct {
		in     desired.Input
		wanted Replicas
		want   desired.Scale
	}{
		"the defaults":       {input(v1alpha1.EnvironmentProduction), Replicas{6, 20}, desired.Scale{Autoscaled: true, Min: 6, Max: 20, TargetCPU: 60, Settle: 300}},
		"above the maximum":  {input(v1alpha1.EnvironmentProduction), Replicas{15, 0}, desired.Scale{Autoscaled: true, Min: 15, Max: 15, TargetCPU: 60, Settle: 300}},
		"more than wanted":   {input(v1alpha1.EnvironmentProduction, big), Replicas{6, 20}, desired.Scale{Autoscaled: true, Min: 8, Max: 30, TargetCPU: 55, Settle: 300}},
		"a fixed number":     {input(v1alpha1.EnvironmentProduction, fixed), Replicas{6, 20}, desired.Scale{Min: 6, Max: 6}},
		"a larger number":    {input(v1alpha1.EnvironmentProduction, fixed), Replicas{3, 20}, desired.Scale{Min: 4, Max: 4}},
		"one in Development": {input(v1alpha1.EnvironmentDevelopment), Replicas{3, 0}, desired.Scale{Min: 3, Max: 3}},
	} {
		before := tt.in.Stack.DeepCopy()
		over := Overlay{Events: []string{"a"}, Services: map[v1alpha1.ComponentName]Replicas{"order": tt.wanted}}.Apply(tt.in)
		if got := desired.APIScale(over, "order"); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
		if !reflect.DeepEqual(before, tt.in.Stack) {
			t.Errorf("%s: the spec itself was changed", name)
		}
	}
	in := input(v1alpha1.EnvironmentProduction, v1alpha1.ServiceSpec{Name: "order", Env: []v1alpha1.EnvVar{{Name: "A"}, {Name: reservationVariable, Value: "3m"}}})
	in.Stack.Spec.Gateway.RateLimits = map[string]v1alpha1.RateLimit{"read": "10/1s:10", "write": "0"}
	over := Overlay{
		Events:         []string{"a"},
		RateLimits:     map[string]v1alpha1.RateLimit{"read": "100/1s:100", "write": "90/1s:90", "payment": "30/1s:100", "webhook": "400/1s:400"},
		ReservationTTL: 5 * time.Minute,
	}.Apply(in).Stack.Spec
	if want := map[string]v1alpha1.RateLimit{"read": "10/1s:10", "write": "90/1s:90", "webhook": "400/1s:400"}; !reflect.DeepEqual(over.Gateway.RateLimits, want) {
		t.Errorf("limits: %v, want %v", over.Gateway.RateLimits, want)
	}
	if over.Services[0].Env[1].Value != "3m" {
		t.Errorf("a shorter reservation became longer: %v", over.Services[0].Env)
	}
}

// The order of events does not matter, and nothing is changed outside their time.
func TestPlansAreOfSets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var events []v1alpha1.SaleEvent
		for i := range rapid.IntRange(0, 6).Draw(r, "events") {
			start := noon.Add(time.Duration(rapid.IntRange(-180, 180).Draw(r, "start")) * time.Minute)
			events = append(events, sale(fmt.Sprint(i), start, func(s *v1alpha1.SaleEventSpec) {
				s.Services = []v1alpha1.SaleService{replicas("order", int32(rapid.IntRange(1, 20).Draw(r, "min")), int32(rapid.IntRange(0, 40).Draw(r, "max")))}
				s.RateLimits = map[string]v1alpha1.RateLimit{"read": v1alpha1.RateLimit(fmt.Sprintf("%d/1s:%d",
					rapid.IntRange(1, 9).Draw(r, "rate"), rapid.IntRange(1, 9).Draw(r, "burst")))}
			}))
		}
		plan, next := Plan(events, "shop", noon)
		shuffled := append([]v1alpha1.SaleEvent(nil), events...)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, nextAgain := Plan(shuffled, "shop", noon)
		if !reflect.DeepEqual(plan, again) || !next.Equal(nextAgain) {
			r.Fatalf("%+v and %+v", plan, again)
		}
		running := 0
		for i := range events {
			phase := Phase(&events[i].Spec, noon)
			if phase == v1alpha1.SalePreScaling || phase == v1alpha1.SaleActive {
				running++
				if plan.Services["order"].Min < events[i].Spec.Services[0].MinReplicas {
					r.Fatalf("%s has too few pods: %+v", events[i].Name, plan)
				}
			}
		}
		if running != len(plan.Events) || (running == 0) != (len(plan.Services) == 0) {
			r.Fatalf("%d run: %+v", running, plan)
		}
		// Nothing changes until the time that was told.
		if !next.IsZero() {
			if just, _ := Plan(events, "shop", next.Add(-1)); !reflect.DeepEqual(plan, just) {
				r.Fatalf("it changed before %s", next)
			}
		}
	})
}
