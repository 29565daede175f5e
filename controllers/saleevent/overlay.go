package saleevent

import (
	"maps"
	"slices"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/topology"
)

const (
	reservationVariable = "COMMERCE_ORDER_RESERVATION_TTL"
	// defaultReservation is that of the order component.
	defaultReservation = 15 * time.Minute
)

// Apply lays the overlay over an input of the builders. What was given stays as
// it is: the result has a stack of its own.
func (o Overlay) Apply(in desired.Input) desired.Input {
	if len(o.Events) == 0 {
		return in
	}
	plain := in
	in.Stack = in.Stack.DeepCopy()
	spec := &in.Stack.Spec
	for _, name := range slices.Sorted(maps.Keys(o.Services)) {
		raise(service(spec, name), desired.APIScale(plain, name), o.Services[name])
	}
	defaults := topology.RateLimits()
	for _, policy := range slices.Sorted(maps.Keys(o.RateLimits)) {
		if spec.Gateway.RateLimits == nil {
			spec.Gateway.RateLimits = map[string]v1alpha1.RateLimit{}
		}
		own, given := spec.Gateway.RateLimits[policy]
		if !given {
			own = v1alpha1.RateLimit(defaults[policy])
		}
		if tighter := Tighter(own, o.RateLimits[policy]); tighter != own {
			spec.Gateway.RateLimits[policy] = tighter
		}
	}
	if o.ReservationTTL > 0 {
		shorten(service(spec, v1alpha1.ComponentOrder), o.ReservationTTL)
	}
	return in
}

// service is the entry of a component, which is made when it is not there.
func service(spec *v1alpha1.CommerceStackSpec, name v1alpha1.ComponentName) *v1alpha1.ServiceSpec {
	at := slices.IndexFunc(spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == name })
	if at < 0 {
		spec.Services = append(spec.Services, v1alpha1.ServiceSpec{Name: name})
		at = len(spec.Services) - 1
	}
	return &spec.Services[at]
}

// raise gives a component at least the pods that are wanted.
func raise(s *v1alpha1.ServiceSpec, has desired.Scale, wanted Replicas) {
	if !has.Autoscaled {
		number := max(has.Min, wanted.Min)
		s.Replicas, s.Autoscaling = &number, &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingOff}
		return
	}
	scaling := v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingHPA}
	if s.Autoscaling != nil {
		scaling = *s.Autoscaling.DeepCopy()
	}
	scaling.MinReplicas = max(has.Min, wanted.Min)
	scaling.MaxReplicas = max(has.Max, wanted.Max, scaling.MinReplicas)
	s.Autoscaling = &scaling
}

// shorten sets how long orders wait for their payment, unless it is shorter already.
func shorten(order *v1alpha1.ServiceSpec, ttl time.Duration) {
	at := slices.IndexFunc(order.Env, func(e v1alpha1.EnvVar) bool { return e.Name == reservationVariable })
	if at < 0 {
		if ttl < defaultReservation {
			order.Env = append(order.Env, v1alpha1.EnvVar{Name: reservationVariable, Value: ttl.String()})
		}
		return
	}
	if own, err := time.ParseDuration(order.Env[at].Value); err == nil && ttl < own {
		order.Env[at].Value = ttl.String()
	}
}

// Refusal says why a stack cannot be what an event asks for, "" when it can: the
// pods would need more connections than the database has.
func Refusal(in desired.Input, overlay Overlay) string {
	for _, err := range desired.ValidateScale(overlay.Apply(in)) {
		return err.Error()
	}
	return ""
}
