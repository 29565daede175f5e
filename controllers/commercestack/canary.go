package commercestack

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/measure"
	"github.com/commercestack/commercestack/controllers/rollout"
)

const (
	// annotationRoutes of a gateway's pod is the hash of the routing table that it
	// was last told of: a changed pod makes the kubelet look at its volumes.
	annotationRoutes = v1alpha1.Group + "/routes"
	// routesPatience is how long a canary that has no share any more waits for the
	// last gateway to notice.
	routesPatience = 30 * time.Second
)

// canaryPods is how many pods a canary of a component has.
func canaryPods(a rollout.Assignment, stable int32) int32 {
	return desired.CanaryPods(a.Weight, a.Pods, stable)
}

// weight is the share that the routing table gives a canary: that of the step, or
// where the step says pods, as many as there will be.
func (v *visit) weight(a rollout.Assignment) int32 {
	if a.Weight > 0 || a.Pods <= 0 || a.Wave >= len(v.roll.Layout.Waves) {
		return a.Weight
	}
	most := int32(1)
	for _, component := range v.roll.Layout.Waves[a.Wave] {
		if d := v.roll.deployments[desired.ComponentName(v.stack.Name, component)]; d != nil {
			most = max(most, wantedPods(d))
		}
	}
	return min(max(100*a.Pods/(a.Pods+most), 1), 99)
}

// observeShare finds out whether the canary has what the step gives it: its pods,
// and in every gateway its weight.
func (v *visit) observeShare(ctx context.Context, w *rollout.Wave) {
	a := v.roll.State.Assignments(v.roll.policy)[v.roll.State.Wave]
	w.CanaryWeight = -1 // not in effect
	if a.Canary == "" || w.Canary != a.Canary || !w.CanaryAvailable {
		return
	}
	routed := false
	for _, component := range v.roll.Layout.Waves[a.Wave] {
		stable := v.roll.deployments[desired.ComponentName(v.stack.Name, component)]
		canary := v.roll.deployments[desired.CanaryName(v.stack.Name, component)]
		if stable == nil || canary == nil || wantedPods(canary) != canaryPods(a, wantedPods(stable)) {
			return
		}
		routed = routed || desired.Routed(component)
	}
	if v.roll.State.EffectiveSince.IsZero() && routed && !v.weightsAre(ctx, a.Wave, v.weight(a)) {
		v.lookAfter(weightPoll)
		return
	}
	w.CanaryWeight, w.CanaryPods = a.Weight, a.Pods
}

// weightsAre reports whether every gateway gives the canaries of a wave a weight.
func (v *visit) weightsAre(ctx context.Context, wave int, weight int32) bool {
	addresses := v.addresses(v1alpha1.ComponentGateway)
	if len(addresses) == 0 {
		return false
	}
	for _, found := range v.weights(ctx, addresses) {
		for _, component := range v.roll.Layout.Waves[wave] {
			if desired.Routed(component) && (found == nil || found[string(component)] != weight) {
				return false
			}
		}
	}
	return true
}

// weights asks gateways; nil is one that does not answer.
func (v *visit) weights(ctx context.Context, addresses []string) []map[string]int32 {
	answers := make([]map[string]int32, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() {
			if found, err := v.Measurer.Weights(ctx, address); err == nil {
				answers[i] = found
			}
		})
	}
	all.Wait()
	return answers
}

// addresses are where the pods of a component that serve tell their metrics.
func (v *visit) addresses(component v1alpha1.ComponentName) []string {
	return append(v.podAddresses(component, false), v.podAddresses(component, true)...)
}

func (v *visit) podAddresses(component v1alpha1.ComponentName, canary bool) []string {
	var addresses []string
	for _, pod := range v.podsOf(component, desired.RoleAPI, canary) {
		if pod.DeletionTimestamp == nil && pod.Status.PodIP != "" && podReady(pod) {
			addresses = append(addresses, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(desired.PortMetrics))))
		}
	}
	return addresses
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// routes keeps the gateway's routing table: a canary is in it as long as it has
// a share and pods that serve.
func (v *visit) routes(ctx context.Context, assignments []rollout.Assignment, live deploymentSet) Result {
	if !desired.ReadsRoutes(v.in) && !v.routesRead(v.roll.State.Current) {
		return Result{}
	}
	old := &corev1.ConfigMap{}
	if err := v.Client.Get(ctx, v.key(desired.RoutesName(v.stack.Name)), old); client.IgnoreNotFound(err) != nil {
		return failed(err)
	}
	before := map[string]desired.CanaryRoute{}
	for _, route := range desired.ParseRoutes(old.Data[desired.RoutesKey]) {
		before[route.Component] = route
	}
	var routes []desired.CanaryRoute
	for _, component := range desired.Components() {
		a, ok := assigned(v.roll.Layout, assignments, component)
		if !ok || a.Canary == "" || !desired.Routed(component) {
			continue
		}
		route := desired.CanaryRoute{Component: string(component), URL: desired.CanaryURL(v.in, component), Weight: v.weight(a)}
		switch canary := live[desired.CanaryName(v.stack.Name, component)]; {
		case canary == nil || canary.Annotations[annotationRevision] != a.Canary || canary.Status.AvailableReplicas == 0:
			continue
		case !settled(canary):
			// More pods are coming, and their weight waits for them.
			if route, ok = before[string(component)]; !ok {
				continue
			}
		}
		routes = append(routes, route)
	}
	table := desired.Routes(v.in, routes)
	if err := v.pass.Apply(ctx, table); err != nil {
		return failed(err)
	}
	return failed(v.tellGateways(ctx, desired.Hash(table.Data[desired.RoutesKey]), len(routes) > 0))
}

// tellGateways makes kubelets show a changed routing table at once, not within
// their minute. A pod that came later was given the newest table.
func (v *visit) tellGateways(ctx context.Context, hash string, shared bool) error {
	if v.pass.Dry() {
		return nil
	}
	pods := &corev1.PodList{}
	labels := v.instance()
	labels[desired.LabelComponent] = string(v1alpha1.ComponentGateway)
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return err
	}
	var errs []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		told, ok := pod.Annotations[annotationRoutes]
		if pod.DeletionTimestamp != nil || told == hash || (!ok && !shared) {
			continue
		}
		changed := pod.DeepCopy()
		changed.Annotations = merge(changed.Annotations, map[string]string{annotationRoutes: hash})
		errs = append(errs, client.IgnoreNotFound(v.Client.Patch(ctx, changed, client.MergeFrom(pod), client.FieldOwner(FieldManager))))
	}
	return errors.Join(errs...)
}

// assigned is what a component is to run.
func assigned(l layout, assignments []rollout.Assignment, component v1alpha1.ComponentName) (rollout.Assignment, bool) {
	for i, components := range l.Waves {
		for _, name := range components {
			if name == component && i < len(assignments) {
				return assignments[i], true
			}
		}
	}
	return rollout.Assignment{}, false
}

// canary keeps the canary of a component.
func (v *visit) canary(ctx context.Context, component v1alpha1.ComponentName, a rollout.Assignment, live deploymentSet) Result {
	in, err := v.inputOf(ctx, a.Canary)
	if err != nil {
		return failed(err)
	}
	stable := int32(1)
	if d := live[desired.ComponentName(v.stack.Name, component)]; d != nil {
		stable = wantedPods(d)
	}
	objects, err := desired.ForCanary(v.onSale(in), component, canaryPods(a, stable))
	if err != nil {
		return stalled("InvalidSpec", "spec.services: %s: %v", component, err)
	}
	objects.Deployment.WithAnnotations(map[string]string{annotationRevision: a.Canary})
	return v.applyAll(ctx, objects.Objects()...)
}

// retireCanaries deletes canaries that have no share any more, once every gateway
// knows: until then some requests still go to them.
func (v *visit) retireCanaries(ctx context.Context, assignments []rollout.Assignment, live deploymentSet) Result {
	var outcome Outcome
	going := false
	for _, component := range desired.Components() {
		d := live[desired.CanaryName(v.stack.Name, component)]
		if a, _ := assigned(v.roll.Layout, assignments, component); d == nil || a.Canary != "" {
			continue
		}
		if v.stillRouted(ctx, component, d) {
			v.pass.Name(appsv1.SchemeGroupVersion.WithKind("Deployment"), d.Namespace, d.Name)
			v.pass.Name(corev1.SchemeGroupVersion.WithKind("Service"), d.Namespace, d.Name)
			outcome.Add("canary", after(weightPoll))
			continue
		}
		going = true
	}
	if going {
		labels := v.instance()
		labels[desired.LabelTrack] = desired.TrackCanary
		outcome.Add("canary", failed(v.pass.Prune(ctx, appsv1.SchemeGroupVersion.WithKind("Deployment"), labels, nil)))
		outcome.Add("canary", failed(v.pass.Prune(ctx, corev1.SchemeGroupVersion.WithKind("Service"), labels, nil)))
		if !v.roll.State.Ended() {
			outcome.Add("canary", after(weightPoll))
		}
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}

// stillRouted reports whether a gateway gives a component's canary a share, or
// does not say so and had too little time.
func (v *visit) stillRouted(ctx context.Context, component v1alpha1.ComponentName, d *appsv1.Deployment) bool {
	if v.pass.Dry() || !desired.Routed(component) || d.Status.AvailableReplicas == 0 || v.now.Sub(v.roll.State.Since) > routesPatience {
		return false
	}
	for _, found := range v.weights(ctx, v.addresses(v1alpha1.ComponentGateway)) {
		if found == nil || found[string(component)] != 0 {
			return true
		}
	}
	return false
}

// measureCanary takes the measurements that are due. What they found counts in
// the next visit; should the operator die before it, they are taken again.
func (v *visit) measureCanary(ctx context.Context) Result {
	s := v.roll.State
	if (s.Phase != rollout.PhaseProgressing && s.Phase != rollout.PhaseAwaitingApproval) || s.EffectiveSince.IsZero() || s.Wave >= len(v.roll.Layout.Waves) {
		return Result{}
	}
	for _, a := range v.roll.policy.Analysis {
		v.Measurer.Begin(ctx, v.question(a))
	}
	var outcome Outcome
	for _, e := range v.roll.effects {
		if e.Kind != rollout.EffectMeasure {
			continue
		}
		answer, err := v.Measurer.Measure(ctx, v.question(e.Analysis))
		if errors.Is(err, measure.ErrEarly) {
			outcome.Add("measure", after(max(e.Analysis.Interval/4, time.Second)))
			continue
		}
		if err != nil {
			v.warnf("MeasureFailed", "Measure", "%s: %v", e.Analysis.Name, err)
		}
		v.remember(v.stack.UID, rollout.Measurement{Name: e.Analysis.Name, Value: answer, At: v.now})
		outcome.Add("measure", after(1))
	}
	return after(outcome.requeue)
}

// question is what is asked about the canary of the wave.
func (v *visit) question(a rollout.Analysis) measure.Question {
	s := v.roll.State
	q := measure.Question{
		ID:       string(v.stack.UID) + "/" + s.Target + "/" + strconv.Itoa(s.Wave) + "/" + strconv.Itoa(s.Step) + "/" + strconv.FormatInt(s.EffectiveSince.UnixNano(), 36),
		Measure:  a.Name,
		Query:    a.Query,
		Interval: a.Interval,
		Stack:    v.stack.Name, Namespace: v.stack.Namespace, Revision: s.Target,
		Gateways: v.podAddresses(v1alpha1.ComponentGateway, false),
		Canaries: map[string][]string{},
		Stable:   map[string][]string{},
	}
	for _, component := range v.roll.Layout.Waves[s.Wave] {
		if desired.Routed(component) {
			q.Components = append(q.Components, string(component))
		}
		q.Canaries[string(component)] = v.podAddresses(component, true)
		if component == v1alpha1.ComponentBilling {
			q.Stable[string(component)] = v.podAddresses(component, false)
		}
	}
	return q
}

// measured are the measurements that no visit took up yet.
type measured struct {
	mu    sync.Mutex
	taken map[types.UID][]rollout.Measurement
}

// remember keeps a measurement for the next visit.
func (r *Reconciler) remember(stack types.UID, m rollout.Measurement) {
	r.measured.mu.Lock()
	defer r.measured.mu.Unlock()
	if r.measured.taken == nil {
		r.measured.taken = map[types.UID][]rollout.Measurement{}
	}
	r.measured.taken[stack] = append(r.measured.taken[stack], m)
}

// forgetMeasurements drops those of a stack that is gone.
func (r *Reconciler) forgetMeasurements(stack types.UID) {
	r.measured.mu.Lock()
	defer r.measured.mu.Unlock()
	delete(r.measured.taken, stack)
}

// measurements are those since the last visit. They stay until one took them up:
// the machine counts each once.
func (v *visit) measurements() []rollout.Measurement {
	v.measured.mu.Lock()
	defer v.measured.mu.Unlock()
	taken := v.measured.taken[v.stack.UID]
	if v.roll.State.Ended() {
		delete(v.measured.taken, v.stack.UID)
		return nil
	}
	const kept = 64
	if len(taken) > kept {
		taken = taken[len(taken)-kept:]
		v.measured.taken[v.stack.UID] = taken
	}
	return append([]rollout.Measurement(nil), taken...)
}
