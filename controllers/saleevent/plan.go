package saleevent

import (
	"slices"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Phase is where an event is at a time.
func Phase(spec *v1alpha1.SaleEventSpec, now time.Time) string {
	switch {
	case now.Before(spec.Start.Add(-spec.LeadTime.Duration)):
		return v1alpha1.SalePending
	case now.Before(spec.Start.Time):
		return v1alpha1.SalePreScaling
	case now.Before(spec.End.Time):
		return v1alpha1.SaleActive
	default:
		return v1alpha1.SaleEnded
	}
}

// Next is when the phase changes; ok is false when it does not any more.
func Next(spec *v1alpha1.SaleEventSpec, now time.Time) (at time.Time, ok bool) {
	for _, at := range []time.Time{spec.Start.Add(-spec.LeadTime.Duration), spec.Start.Time, spec.End.Time} {
		if now.Before(at) {
			return at, true
		}
	}
	return time.Time{}, false
}

// Replicas are the pods that sales ask for. A Max of 0 asks for none.
type Replicas struct{ Min, Max int32 }

// Overlay is what running events change of a stack. Its zero value changes nothing.
type Overlay struct {
	// Events that have a part in it, sorted.
	Events []string
	// Services that need more pods.
	Services map[v1alpha1.ComponentName]Replicas
	// RateLimits by policy.
	RateLimits map[string]v1alpha1.RateLimit
	// ReservationTTL is 0 when no event shortens reservations.
	ReservationTTL time.Duration
}

// Plan is what the events of a stack change at a time, and when that changes next
// by itself; a zero time is never. Of events that overlap, the higher numbers of
// pods, the tighter limit and the shorter reservation win, so their order does
// not matter. An event that is being deleted has ended.
func Plan(events []v1alpha1.SaleEvent, stack string, now time.Time) (overlay Overlay, next time.Time) {
	overlay = Overlay{Services: map[v1alpha1.ComponentName]Replicas{}, RateLimits: map[string]v1alpha1.RateLimit{}}
	for i := range events {
		event := &events[i]
		if event.Spec.StackRef.Name != stack || event.DeletionTimestamp != nil {
			continue
		}
		if at, ok := Next(&event.Spec, now); ok && (next.IsZero() || at.Before(next)) {
			next = at
		}
		switch Phase(&event.Spec, now) {
		case v1alpha1.SaleActive:
			overlay.tighten(&event.Spec)
			fallthrough
		case v1alpha1.SalePreScaling:
			overlay.scale(&event.Spec)
			overlay.Events = append(overlay.Events, event.Name)
		}
	}
	slices.Sort(overlay.Events)
	return overlay, next
}

func (o *Overlay) scale(spec *v1alpha1.SaleEventSpec) {
	for _, service := range spec.Services {
		wanted := o.Services[service.Name]
		wanted.Min = max(wanted.Min, service.MinReplicas)
		if service.MaxReplicas != nil {
			wanted.Max = max(wanted.Max, *service.MaxReplicas)
		}
		o.Services[service.Name] = wanted
	}
}

func (o *Overlay) tighten(spec *v1alpha1.SaleEventSpec) {
	for policy, limit := range spec.RateLimits {
		o.RateLimits[policy] = Tighter(o.RateLimits[policy], limit)
	}
	if ttl := spec.ReservationTTL; ttl != nil && ttl.Duration > 0 && (o.ReservationTTL == 0 || ttl.Duration < o.ReservationTTL) {
		o.ReservationTTL = ttl.Duration
	}
}
