package commercestack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// rotationAgain is when a rotation that took a step is looked at again, unless
// what it changed wakes the operator before.
const rotationAgain = time.Second

// rotating are the secrets of the stack that rotate, in the order of the status.
// The superuser of PostgreSQL and the administrator of Redis do not: nothing but
// Jobs uses them. The authority has its own way, which moves no pods.
func (v *visit) rotating() []vault.Secret {
	var secrets []vault.Secret
	for _, component := range desired.DataComponents() {
		secrets = append(secrets, vault.Secret{Name: vault.LoginName(string(component)), Kind: rotation.KindLogin})
	}
	if desired.RedisUsers(v.in) {
		secrets = append(secrets, vault.Secret{Name: vault.NameRedis, Kind: rotation.KindCacheLogin})
	}
	secrets = append(secrets,
		vault.Secret{Name: vault.NameIdentity, Kind: rotation.KindIdentityKeys},
		vault.Secret{Name: vault.NameEncryption, Kind: rotation.KindEncryptionKeys, First: v.restoreKeys()},
		vault.Secret{Name: vault.NameSigning, Kind: rotation.KindSigningKeys})
	if given := v.stack.Spec.Integrations; !desired.Simulated(v.in) && given != nil && given.Stripe != nil {
		secrets = append(secrets, vault.Secret{
			Name: vault.NameWebhook, Kind: rotation.KindWebhook, Offered: v.referenced(&given.Stripe.SecretRef, refWebhookSecret),
		})
	}
	if v.stack.Spec.Secrets.Source == v1alpha1.SecretsExternal {
		for i := range secrets {
			secrets[i].Stored = fromStore(secrets[i].Kind)
		}
	}
	return secrets
}

// rotationPolicy is the schedule of the spec; what the operator was told goes first.
func (v *visit) rotationPolicy() rotation.Policy {
	given, spec := v.Rotation, &v.stack.Spec
	set := func(d *time.Duration, value metav1.Duration) {
		if *d == 0 {
			*d = value.Duration
		}
	}
	set(&given.Interval, spec.Secrets.Interval)
	set(&given.ProgressDeadline, spec.Rollout.ProgressDeadline)
	set(&given.SigningLead, spec.Secrets.JWT.PublishLead)
	return given.WithDefaults()
}

// state is that of a secret; without one it is the zero value.
func (v *visit) state(secret string) rotation.State {
	if at := slices.IndexFunc(v.states, func(s rotation.State) bool { return s.Secret == secret }); at >= 0 {
		return v.states[at]
	}
	return rotation.State{Secret: secret}
}

// content is what consumers of a secret are to have now.
func (v *visit) content(secret string) rotation.Content {
	if content, ok := v.supposed[secret]; ok {
		return content
	}
	return v.state(secret).Content()
}

// rotate moves the secrets on: at most one takes one step. The states are stored
// in the vault, together with what the step makes or erases there, before
// anything else is done by them.
func (v *visit) rotate(ctx context.Context) Result {
	secrets := v.rotatingNow
	states := make([]rotation.State, 0, len(secrets))
	for _, secret := range secrets {
		states = append(states, v.state(secret.Name))
	}
	stack, err := v.observeSecrets(ctx, secrets, states)
	if err != nil {
		return Result{Err: err, Stop: true}
	}
	policy := v.rotationPolicy()
	plan := policy.Plan(states, stack, v.now.UTC())
	changed, err := v.storeStates(ctx, secrets, plan)
	if err != nil {
		return Result{Err: err, Stop: true}
	}
	v.rotationMovesPods = rotation.MovesPods(plan.States)
	var outcome Outcome
	for _, effect := range plan.Effects {
		outcome.Add(effect.Secret, failed(v.carryOut(ctx, effect)))
	}
	for i, state := range plan.States {
		v.noteRotation(states[i], state)
		v.noteState(state, policy, stack)
	}
	v.forgetRotations(plan.States)
	v.judgeSecrets(plan.States, policy, stack)
	switch {
	case changed:
		outcome.requeue = rotationAgain
	case !plan.Wake.IsZero():
		outcome.Add("wake", v.wakeAt(plan.Wake))
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}

// storeStates stores the next states, if there is anything new about them.
func (v *visit) storeStates(ctx context.Context, secrets []vault.Secret, plan rotation.Result) (changed bool, err error) {
	next := v.vault
	for _, effect := range plan.Effects {
		at := slices.IndexFunc(secrets, func(s vault.Secret) bool { return s.Name == effect.Secret })
		next = next.With(secrets[at], effect)
	}
	// Secrets that the stack does not have now keep their states.
	states := slices.Clone(v.states)
	for _, state := range plan.States {
		if at := slices.IndexFunc(states, func(s rotation.State) bool { return s.Secret == state.Secret }); at >= 0 {
			states[at] = state
		}
	}
	if next, err = next.WithStates(states); err != nil {
		return false, err
	}
	if v.pass.Dry() || next.Equal(v.vault) {
		return false, nil
	}
	if err := v.storeVault(ctx, next); err != nil {
		return false, err
	}
	v.states = states
	return true, nil
}

// rotationRequest is what a person asked to rotate; zero for nothing, or what cannot be read.
func (v *visit) rotationRequest() v1alpha1.RotationRequest {
	request, _ := v1alpha1.ParseRotationRequest(strings.TrimSpace(v.stack.Annotations[v1alpha1.AnnotationRotate]))
	return request
}

// noteState puts a secret that rotates into the status.
func (v *visit) noteState(state rotation.State, policy rotation.Policy, stack rotation.Stack) {
	rotated := metav1.NewTime(state.ActiveSince.Truncate(timeUnit))
	entry := v1alpha1.SecretStatus{
		Name: state.Secret, State: state.Status(), ActiveID: string(state.Active), NextID: string(state.Next),
		RotatedAt: &rotated, LastError: state.LastError,
	}
	if state.Idle() && scheduled(state, stack) {
		due := metav1.NewTime(policy.Due(state, stack.Key).Truncate(timeUnit))
		entry.NextRotationAt = &due
	}
	v.noteEntry(entry)
}

// forgetRotations drops secrets that the stack no longer has.
func (v *visit) forgetRotations(states []rotation.State) {
	v.status.Secrets = slices.DeleteFunc(v.status.Secrets, func(s v1alpha1.SecretStatus) bool {
		certificate := s.Name == authoritySecret || strings.HasSuffix(s.Name, leafSuffix)
		return !certificate && !slices.ContainsFunc(states, func(state rotation.State) bool { return state.Secret == s.Name })
	})
}

// noteRotation tells what became of a rotation.
func (v *visit) noteRotation(before, after rotation.State) {
	const action = "RotateSecret"
	switch kind := string(after.Kind); {
	case before.Idle() && !after.Idle():
		v.tellf("RotationStarted", action, "Version %s of %s replaces %s.", after.Next, after.Secret, after.Active)
	case !before.Idle() && after.Idle() && before.Active != after.Active:
		v.tellf("RotationFinished", action, "Version %s of %s is in use, and %s is gone.", after.Active, after.Secret, before.Active)
		rotations.WithLabelValues(kind, "finished").Inc()
		rotationSeconds.WithLabelValues(kind).Observe(v.now.Sub(before.StartedAt).Seconds())
	case !before.Idle() && after.Idle():
		rotations.WithLabelValues(kind, "given up").Inc()
	}
	if after.LastError != "" && after.LastError != before.LastError {
		v.warnf("RotationFailed", action, "%s: %s.", after.Secret, firstLine(after.LastError))
	}
}

// judgeSecrets sets the condition: what fails, what is overdue, and what was asked
// for and is not there. What is wrong with certificates goes first.
func (v *visit) judgeSecrets(states []rotation.State, policy rotation.Policy, stack rotation.Stack) {
	if v.certificatesFailed {
		return
	}
	reason, problems := "Overdue", []string{}
	for _, state := range states {
		waits := v.waitsFor(state, states, stack)
		last := state.ActiveSince.Add(policy.Interval)
		switch {
		case state.LastError != "" && (!state.Idle() || state.Failures > 0):
			reason = reasonFailed
			problems = append(problems, fmt.Sprintf("%s: %s", state.Secret, firstLine(state.LastError)))
		case state.Idle() && scheduled(state, stack) && v.now.After(last):
			problems = append(problems, fmt.Sprintf("%s was to be replaced by %s%s", state.Secret, last.UTC().Format(time.RFC3339), waits))
		}
	}
	if len(v.storeProblems) > 0 {
		reason, problems = "StoreFailed", append(problems, v.storeProblems...)
	}
	if problem := v.judgeRequest(states); problem != "" {
		reason, problems = "BadRequest", append(problems, problem)
	}
	if len(problems) > 0 {
		v.set(v1alpha1.ConditionSecretsCurrent, metav1.ConditionFalse, reason, strings.Join(problems, "; ")+".")
		return
	}
	v.set(v1alpha1.ConditionSecretsCurrent, metav1.ConditionTrue, secretCurrent, "Every secret and certificate is within its time.")
}

// scheduled says whether the operator itself replaces a secret when its time has come.
func scheduled(state rotation.State, stack rotation.Stack) bool {
	return state.Kind != rotation.KindWebhook && !stack.Secrets[state.Secret].Stored
}

// waitsFor says what an overdue secret waits for.
func (v *visit) waitsFor(state rotation.State, states []rotation.State, stack rotation.Stack) string {
	at := slices.IndexFunc(states, func(s rotation.State) bool { return !s.Idle() })
	switch {
	case stack.Paused:
		return " and waits for the end of the pause"
	case at >= 0:
		return " and waits for " + states[at].Secret
	case stack.Rollout || stack.RolloutWaits:
		return " and waits for the rollout"
	case state.RetryAt.After(v.now):
		return " and is tried again at " + state.RetryAt.UTC().Format(time.RFC3339)
	default:
		return ""
	}
}

// judgeRequest finds a request that nothing answers.
func (v *visit) judgeRequest(states []rotation.State) string {
	text := strings.TrimSpace(v.stack.Annotations[v1alpha1.AnnotationRotate])
	if text == "" {
		return ""
	}
	request, err := v1alpha1.ParseRotationRequest(text)
	if err != nil {
		return firstLine(err.Error())
	}
	known := slices.ContainsFunc(states, func(s rotation.State) bool { return s.Secret == request.Secret }) ||
		slices.ContainsFunc(v.status.Secrets, func(s v1alpha1.SecretStatus) bool { return s.Name == request.Secret })
	if known {
		return ""
	}
	return fmt.Sprintf("%s asks for %q, which is none of status.secrets", v1alpha1.AnnotationRotate, firstLine(request.Secret))
}
