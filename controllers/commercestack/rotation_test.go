package commercestack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// everySecret are the secrets of a shop, with the version that comes after the first.
var everySecret = []struct{ name, next string }{
	{vault.LoginName("order"), "2b"},
	{vault.NameRedis, "2b"},
	{vault.NameIdentity, "2"},
	{vault.NameEncryption, "2"},
	{vault.NameSigning, "2"},
	{vault.NameWebhook, string(vault.Secret{Offered: []byte("whsec_2")}.OfferedID())},
}

// killer ends the operator at each write of a rotation that it has not seen in
// that stage: once just before the write, and once just after.
type killer struct {
	shop  *shop
	seen  map[string]int
	dead  bool
	kills int
}

func (k *killer) before(verb, kind, name string) error {
	if k.dead {
		return errKilled // nothing is written after the end
	}
	if k.shop == nil || name != "shop" && !slices.ContainsFunc([]string{
		"shop-vault", "shop-order", "shop-auth", "shop-billing", "shop-redis", "shop-set-", "shop-retire-", "shop-cache-", "shop-rewrite-",
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) || strings.HasSuffix(name, "-tls") || kind == "NetworkPolicy" || kind == "ServiceAccount" || kind == "Service" {
		return nil
	}
	stage := ""
	secret := &corev1.Secret{}
	if err := k.shop.Get(k.shop.context, key(k.shop.namespace, "shop-vault"), secret); err == nil {
		states, _ := vault.Open(secret.Data).States()
		for _, state := range states {
			if !state.Idle() {
				stage = state.Secret + string(state.Stage)
			}
		}
	}
	// The status is written after everything else, whatever rotates: one secret tells it.
	if stage == "" || (name == "shop" && !strings.HasPrefix(stage, vault.LoginName(""))) {
		return nil
	}
	at := stage + verb + kind + name
	if !chosen(at) {
		return nil
	}
	switch k.seen[at]++; k.seen[at] {
	case 1:
		k.dead = true
		k.kills++
		return errKilled
	case 2:
		k.dead = true
		k.kills++
	}
	return nil
}

// Each secret is replaced by a request, while the operator dies at every step:
// the end is the same, nobody notices anything, and the request counts once.
func TestEverySecretRotatesThoughTheOperatorDies(t *testing.T) {
	t.Parallel()
	k := &killer{seen: map[string]int{}}
	s := newShop(t, withInterceptor(onWrite(k.before)))
	s.open(t)
	migrations := s.migrations
	for _, secret := range everySecret {
		before := s.state(t, secret.name)
		old := s.value(t, before)
		k.shop = s
		if secret.name == vault.NameWebhook {
			s.offer(t, "whsec_2")
		} else {
			s.ask(t, secret.name, "request-"+secret.name)
		}
		kills := k.kills
		s.live(t, "rotation of "+secret.name, func() bool {
			if k.dead && k.kills%5 == 0 {
				s.restart(t)
			}
			s.died, k.dead = k.dead, false
			state := s.state(t, secret.name)
			return state.Idle() && state.Active != before.Active
		})
		k.shop = nil
		if kills == k.kills && *everyWrite {
			t.Errorf("nothing died in the rotation of %s", secret.name)
		}
		state := s.state(t, secret.name)
		if string(state.Active) != secret.next || state.LastError != "" {
			t.Errorf("%s ends as %+v", secret.name, state)
		}
		for range 3 {
			s.stack = s.settle(t, s.stack)
			s.play(t)
		}
		for _, old := range old {
			if s.mounted(t, old) {
				t.Errorf("the old version of %s can still be mounted", secret.name)
			}
		}
		if again := s.state(t, secret.name); again.Active != state.Active || !again.Idle() {
			t.Errorf("the request for %s was carried out twice", secret.name)
		}
	}
	if s.migrations != migrations {
		t.Errorf("rotations ran %d migrations", s.migrations-migrations)
	}
	for _, job := range s.jobs(t, desired.JobRotate) {
		t.Errorf("Job %s is left", job.Name)
	}
	t.Logf("the operator died %d times, -sample %d", k.kills, *sampleSeed)
	if k.kills < 10 {
		t.Errorf("it died %d times only", k.kills)
	}
	s.checkStatus(t)
	s.checkRest(t)
}

// value are the lines of the version in use, empty where the vault has none.
func (s *shop) value(t *testing.T, state rotation.State) []string {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.Get(t.Context(), key(s.namespace, "shop-vault"), secret); err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(vault.Open(secret.Data).Value(state, state.Active)))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (s *shop) checkStatus(t *testing.T) {
	t.Helper()
	s.stack = s.read(t, s.stack)
	for _, secret := range everySecret {
		at := slices.IndexFunc(s.stack.Status.Secrets, func(e v1alpha1.SecretStatus) bool { return e.Name == secret.name })
		if at < 0 {
			t.Errorf("%s is not in the status", secret.name)
			continue
		}
		entry := s.stack.Status.Secrets[at]
		planned := entry.NextRotationAt != nil && entry.NextRotationAt.After(entry.RotatedAt.Time)
		if entry.State != "Current" || entry.ActiveID != secret.next || entry.NextID != "" || entry.LastError != "" || planned == (secret.name == vault.NameWebhook) {
			t.Errorf("status: %+v", entry)
		}
	}
	if c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent); c.Status != "True" {
		t.Errorf("SecretsCurrent: %+v", c)
	}
	vaultSecret := &corev1.Secret{}
	if err := s.Get(t.Context(), key(s.namespace, "shop-vault"), vaultSecret); err != nil {
		t.Fatal(err)
	}
	if len(vaultSecret.Data["archive.encryption.1"]) == 0 || len(vaultSecret.Data["login.order.1a"]) != 0 || len(vaultSecret.Data["identity.1"]) != 0 {
		t.Errorf("the vault has %v", slices.Sorted(maps.Keys(vaultSecret.Data)))
	}
}

func (s *shop) checkRest(t *testing.T) {
	t.Helper()
	var writes writeLog
	s.funcs = counting(&writes)
	s.restart(t)
	s.settle(t, s.stack)
	before := s.versions(t)
	writes.take()
	for range 3 {
		if _, err := s.visit(t.Context(), s.stack); err != nil {
			t.Fatal(err)
		}
	}
	if seen := writes.take(); len(seen) != 0 || !maps.Equal(before, s.versions(t)) {
		t.Errorf("writes at rest: %v", seen)
	}
}

// A login that cannot be set is given up: no pod moves, and a person is told.
func TestALoginThatCannotBeSetIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open(t)
	before := s.generations(t)
	s.fails = "set-login"
	s.ask(t, vault.LoginName("user"), "1")
	s.live(t, "failure", func() bool { return s.state(t, vault.LoginName("user")).Failures > 0 })
	s.live(t, "the end", func() bool { return s.state(t, vault.LoginName("user")).Idle() })
	s.stack = s.settle(t, s.stack)
	if after := s.generations(t); !maps.Equal(before, after) {
		t.Errorf("pods moved: %v became %v", before, after)
	}
	state := s.state(t, vault.LoginName("user"))
	c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent)
	if state.Active != "1a" || c.Status != "False" || c.Reason != "Failed" || !strings.Contains(c.Message, "postgres-user: Job shop-set-login-") {
		t.Errorf("%+v\nSecretsCurrent: %+v", state, c)
	}
	if len(s.value(t, rotation.State{Secret: state.Secret, Active: "2b"})) != 0 {
		t.Error("the version that was given up is still in the vault")
	}
	s.fails = ""
	s.time.SetTime(state.RetryAt.Add(time.Minute))
	s.ask(t, vault.LoginName("user"), "2")
	s.live(t, "the next try", func() bool { return s.state(t, vault.LoginName("user")).Active == "3b" })
	if c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent); c.Status != "True" {
		t.Errorf("SecretsCurrent: %+v", c)
	}
}

// A version with which pods do not become ready is taken back.
func TestAVersionThatPodsDoNotTakeIsTakenBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open(t)
	user := &appsv1.Deployment{}
	if err := s.Get(t.Context(), key(s.namespace, "shop-user"), user); err != nil {
		t.Fatal(err)
	}
	before := s.secretNames(t)
	s.stuck, s.good = user.Name, templateOf(user)
	s.ask(t, vault.LoginName("user"), "1")
	s.live(t, "taking back", func() bool { return s.state(t, vault.LoginName("user")).Stage == rotation.StageReverting })
	s.live(t, "the end", func() bool { return s.state(t, vault.LoginName("user")).Idle() })
	s.stack = s.settle(t, s.stack)
	if state := s.state(t, vault.LoginName("user")); state.Active != "1a" || state.Failures != 1 || !strings.Contains(state.LastError, "taken back") {
		t.Errorf("%+v", state)
	}
	if after := s.secretNames(t); !maps.Equal(before, after) {
		t.Errorf("Secrets %v became %v", before, after)
	}
	if s.logins["commerce_user_b"] != "" {
		t.Error("the idle role kept its password")
	}
}

// A rollout waits for pods that a rotation moves, and a rotation for a rollout.
func TestRotationAndRolloutDoNotMovePodsTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open(t)
	s.ask(t, vault.LoginName("order"), "1")
	s.live(t, "publishing", func() bool { return s.state(t, vault.LoginName("order")).Stage == rotation.StagePromoting })
	s.stack = s.change(t, s.stack, func(stack *v1alpha1.CommerceStack) { stack.Spec.Version = "1.1.0" })
	waited := false
	s.live(t, "the new version", func() bool {
		rolled := slices.Contains(slices.Collect(maps.Values(s.images(t))), "example.com/commerce:1.1.0")
		publishing := s.state(t, vault.LoginName("order")).MovesPods()
		waited = waited || (publishing && !rolled)
		if publishing && rolled {
			t.Error("a new version came while a rotation moved pods")
		}
		return s.stack.Status.Version == "1.1.0"
	})
	if !waited {
		t.Error("the rollout did not wait")
	}
	s.live(t, "the end of the rotation", func() bool { return s.state(t, vault.LoginName("order")).Active == "2b" })

	s.stack = s.change(t, s.stack, func(stack *v1alpha1.CommerceStack) { stack.Spec.Version = "1.2.0" })
	s.ask(t, vault.LoginName("order"), "2")
	s.live(t, "the next version", func() bool {
		if s.stack.Status.Version != "1.2.0" && s.state(t, vault.LoginName("order")).MovesPods() {
			t.Error("a rotation moves pods during a rollout")
		}
		return s.stack.Status.Version == "1.2.0"
	})
	s.live(t, "the second rotation", func() bool { return s.state(t, vault.LoginName("order")).Active == "3a" })
}

// Nothing rotates in a stack that is paused, and what is due begins by itself, one
// after the other.
func TestSecretsRotateOnSchedule(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open(t)
	s.stack = s.change(t, s.stack, func(stack *v1alpha1.CommerceStack) { stack.Spec.ReconcilePolicy = v1alpha1.ReconcileObserve })
	before := s.states(t)
	s.time.SetTime(s.time.Now().Add(2300 * time.Hour))
	for range 3 {
		_, _ = s.visit(t.Context(), s.stack)
	}
	if after := s.states(t); !slices.Equal(before, after) {
		t.Errorf("a paused stack rotates: %+v", after)
	}
	s.stack = s.read(t, s.stack)
	if c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent); c.Status != "False" || c.Reason != "Overdue" || !strings.Contains(c.Message, "waits for the end of the pause") {
		t.Errorf("SecretsCurrent: %+v", c)
	}
	s.stack = s.change(t, s.stack, func(stack *v1alpha1.CommerceStack) { stack.Spec.ReconcilePolicy = v1alpha1.ReconcileManaged })
	rotated := map[string]bool{}
	s.live(t, "three rotations", func() bool {
		running := 0
		for _, state := range s.states(t) {
			if !state.Idle() {
				running++
			}
			if strings.HasPrefix(string(state.Active), "2") && state.Idle() {
				rotated[state.Secret] = true
			}
		}
		if running > 1 {
			t.Errorf("%d secrets rotate at once", running)
		}
		return len(rotated) >= 3
	})
}

// A stack of an operator that did not rotate is taken over without a write to its
// workloads and without a migration.
func TestAnOlderStackIsTakenOverAsItIs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stack.Spec.RenderRevision = ptr.To[int32](1)
	s.open(t)
	s.makeOlder(t)
	secrets, generations, migrations := s.secretNames(t), s.generations(t), s.migrations
	s.restart(t)
	for range 3 {
		s.stack = s.settle(t, s.stack)
		s.play(t)
	}
	if after := s.secretNames(t); !maps.Equal(secrets, after) {
		t.Errorf("Secrets %v became %v", secrets, after)
	}
	if after := s.generations(t); !maps.Equal(generations, after) {
		t.Errorf("workloads changed: %v became %v", generations, after)
	}
	if s.migrations != migrations || !isTrue(s.stack, v1alpha1.ConditionMigrationsApplied) {
		t.Errorf("%d migrations ran%s", s.migrations-migrations, describe(s.stack))
	}
	for _, state := range s.states(t) {
		if state.Secret == vault.NameRedis {
			t.Error("Redis of the first revision has a login to rotate")
		}
	}
	s.ask(t, vault.LoginName("order"), "1")
	s.live(t, "a rotation", func() bool { return s.state(t, vault.LoginName("order")).Active == "2b" })
	if s.migrations != migrations {
		t.Error("the rotation migrated")
	}
}

// makeOlder leaves behind what an operator that did not rotate left.
func (s *shop) makeOlder(t *testing.T) {
	t.Helper()
	kept := &corev1.Secret{}
	if err := s.Get(t.Context(), key(s.namespace, "shop-vault"), kept); err != nil {
		t.Fatal(err)
	}
	for name := range kept.Data {
		for _, prefix := range []string{"rotation.", "identity.1", "encryption.1", "webhook."} {
			if strings.HasPrefix(name, prefix) || strings.HasSuffix(name, ".1a") {
				delete(kept.Data, name)
			}
		}
	}
	for _, component := range desired.DataComponents() {
		kept.Data["login."+string(component)+".b"] = []byte("never-used")
	}
	if err := s.Update(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	jobs := s.jobs(t, desired.JobMigrate)
	if len(jobs) != 1 {
		t.Fatalf("%d migration Jobs", len(jobs))
	}
	pod := jobs[0].Spec.Template.Spec
	secret := ""
	for _, volume := range pod.Volumes {
		if volume.Name == "secrets" {
			secret = volume.Secret.SecretName
		}
	}
	s.stack = s.read(t, s.stack)
	s.stack.Status.Migration.ID = desired.Hash(pod.Containers[0].Image, secret, "migrate")
	s.stack.Status.Secrets = nil
	if err := s.Status().Update(t.Context(), s.stack); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), &batchv1.Job{ObjectMeta: jobs[0].ObjectMeta}, client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
}

// A request renews a certificate once, and one for the authority publishes a next one.
func TestCertificatesAreReplacedOnRequest(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open(t)
	certificate := func(name string) string {
		secret := &corev1.Secret{}
		if err := s.Get(t.Context(), key(s.namespace, name), secret); err != nil {
			t.Fatal(err)
		}
		return string(secret.Data["tls.crt"]) + string(secret.Data["next.crt"])
	}
	for request, secret := range map[string]string{"order-tls": "shop-order-tls", "ca": "shop-ca"} {
		before := certificate(secret)
		s.ask(t, request, "1")
		s.settle(t, s.stack)
		asked := certificate(secret)
		if asked == before {
			t.Errorf("%s was not replaced", request)
		}
		s.restart(t)
		s.settle(t, s.stack)
		if certificate(secret) != asked {
			t.Errorf("%s was replaced twice", request)
		}
	}
	s.ask(t, "nothing", "1")
	s.stack = s.settle(t, s.stack)
	if c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent); c.Reason != "BadRequest" || !strings.Contains(c.Message, "nothing") {
		t.Errorf("SecretsCurrent: %+v", c)
	}
}
