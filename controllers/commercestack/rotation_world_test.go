package commercestack_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// shop is a world whose pods and Jobs do what the program does with its secrets:
// what a pod uses must be accepted by the servers and by every other pod.
type shop struct {
	*world

	context context.Context //nolint:containedctx // interceptors of writes read by it
	time    *clocktesting.FakePassiveClock
	stack   *v1alpha1.CommerceStack
	// logins are the passwords of PostgreSQL's roles and of Redis' users.
	logins map[string]string
	// sealed are the keys that stored fields need.
	sealed map[string]bool
	// pods by name, with what stands in their files.
	pods map[string]*shopPod
	// died says that the operator did not end its last visit.
	died bool
	// stuck is a Deployment whose pods are ready with the template good alone.
	stuck, good string
	// fails names the verb whose Jobs fail.
	fails string
	// migrations counts the Jobs that migrated.
	migrations int
	names      int
}

type shopPod struct {
	deployment string
	template   string
	files      map[string][]byte
}

// newShop installs a stack of one pod for each component, with a real Stripe.
func newShop(t *testing.T, options ...option) *shop {
	t.Helper()
	s := &shop{context: t.Context(), time: clocktesting.NewFakePassiveClock(time.Now()), logins: map[string]string{}, sealed: map[string]bool{}, pods: map[string]*shopPod{}}
	s.world = newWorld(t, append(options, withClock(s.time))...)
	s.createSecret(t, "stripe", map[string]string{"secretKey": "sk_live_1", "webhookSecret": "whsec_1"})
	s.stack = s.development()
	s.stack.Spec.Integrations = &v1alpha1.IntegrationsSpec{Stripe: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "stripe"}}}
	return s
}

func (s *shop) open(t *testing.T) {
	t.Helper()
	s.create(t, s.stack)
	s.live(t, "Ready", func() bool {
		return isTrue(s.stack, v1alpha1.ConditionReady) && !isTrue(s.stack, v1alpha1.ConditionReconciling)
	})
}

// live takes visits and lets the cluster go on until done.
func (s *shop) live(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 300 {
		_, _ = s.visit(t.Context(), s.stack)
		s.play(t)
		s.check(t)
		s.stack = s.read(t, s.stack)
		if done() {
			return
		}
		if s.died {
			s.died = false // the next process is there at once
			continue
		}
		wait := time.Minute
		for _, state := range s.states(t) {
			if slices.Contains([]rotation.Stage{rotation.StageOverlapping, rotation.StageLeading, rotation.StageDistributing}, state.Stage) {
				wait = 30 * time.Minute
			}
		}
		s.time.SetTime(s.time.Now().Add(wait))
	}
	t.Fatalf("in vain: %s: %+v%s", what, s.states(t), describe(s.stack))
}

func (s *shop) states(t *testing.T) []rotation.State {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.Get(t.Context(), key(s.namespace, "shop-vault"), secret); err != nil {
		return nil
	}
	states, err := vault.Open(secret.Data).States()
	if err != nil {
		t.Fatal(err)
	}
	return states
}

func (s *shop) state(t *testing.T, name string) rotation.State {
	t.Helper()
	for _, state := range s.states(t) {
		if state.Secret == name {
			return state
		}
	}
	t.Fatalf("no state of %s", name)
	return rotation.State{}
}

// play moves servers and Jobs on, and every second pod that is behind.
func (s *shop) play(t *testing.T) {
	t.Helper()
	sets := &appsv1.StatefulSetList{}
	s.list(t, sets)
	for i := range sets.Items {
		set := &sets.Items[i]
		s.putStatus(t, set, func() any { return set.Status }, func() {
			set.Status = appsv1.StatefulSetStatus{ObservedGeneration: set.Generation, Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
		})
	}
	jobs := &batchv1.JobList{}
	s.list(t, jobs)
	for i := range jobs.Items {
		s.playJob(t, &jobs.Items[i])
	}
	deployments := &appsv1.DeploymentList{}
	s.list(t, deployments)
	for i := range deployments.Items {
		if d := &deployments.Items[i]; s.playPods(t, d) {
			s.check(t)
		}
	}
}

func templateOf(d *appsv1.Deployment) string {
	return desired.Hash(fmt.Sprint(d.Spec.Template.Spec.Volumes), fmt.Sprint(d.Spec.Template.Spec.Containers[0].Env), d.Spec.Template.Spec.Containers[0].Image)
}

// playPods makes a Deployment's new pod, or takes its old one away: one of the two.
func (s *shop) playPods(t *testing.T, d *appsv1.Deployment) (moved bool) {
	t.Helper()
	template := templateOf(d)
	var current, old []string
	for name, pod := range s.pods {
		switch {
		case pod.deployment != d.Name:
		case pod.template == template:
			current = append(current, name)
		default:
			old = append(old, name)
		}
	}
	switch {
	case len(current) == 0:
		current, moved = append(current, s.startPod(t, d, template)), true
	case len(old) > 0 && (s.stuck != d.Name || s.good == template):
		s.deletePod(t, old[0])
		old, moved = old[1:], true
	}
	n := int32(len(current))
	s.putStatus(t, d, func() any { return d.Status }, func() {
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: n + int32(len(old)), UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
		}
	})
	return moved
}

func (s *shop) startPod(t *testing.T, d *appsv1.Deployment, template string) string {
	t.Helper()
	s.names++
	pod := &corev1.Pod{Spec: *d.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name, pod.Labels = s.namespace, fmt.Sprintf("%s-%d", d.Name, s.names), maps.Clone(d.Spec.Template.Labels)
	files := s.files(t, pod)
	if err := s.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	s.pods[pod.Name] = &shopPod{deployment: d.Name, template: template, files: files}
	s.sealed[firstLineOf(files[desired.KeyEncryptionKeys])] = true
	return pod.Name
}

// files are those of a pod's Secret, which must be there.
func (s *shop) files(t *testing.T, pod *corev1.Pod) map[string][]byte {
	t.Helper()
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == "secrets" {
			secret := &corev1.Secret{}
			if err := s.Get(t.Context(), key(s.namespace, volume.Secret.SecretName), secret); err != nil {
				t.Fatalf("pod %s cannot start: %v", pod.Name, err)
			}
			return secret.Data
		}
	}
	return nil
}

func (s *shop) deletePod(t *testing.T, name string) {
	t.Helper()
	if err := s.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}); err != nil {
		t.Fatal(err)
	}
	delete(s.pods, name)
}

// playJob does what a Job's program does, and ends it.
func (s *shop) playJob(t *testing.T, job *batchv1.Job) {
	t.Helper()
	if job.DeletionTimestamp != nil {
		s.collect(t, job)
		return
	}
	if len(job.Status.Conditions) > 0 {
		return
	}
	args := strings.Join(job.Spec.Template.Spec.Containers[0].Args, " ")
	files := s.files(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: job.Name}, Spec: job.Spec.Template.Spec})
	end := batchv1.JobComplete
	env := map[string]string{}
	for _, variable := range job.Spec.Template.Spec.Containers[0].Env {
		env[variable.Name] = variable.Value
	}
	switch {
	case s.fails != "" && strings.HasSuffix(args, s.fails):
		end = batchv1.JobFailed
	case args == "migrate":
		s.migrations++
		for name, value := range files {
			if strings.HasPrefix(name, desired.KeyDatabaseURL+"-") {
				s.setLogin(t, value)
			}
		}
	case args == "database set-login":
		s.setLogin(t, files[desired.KeyDatabaseURL])
	case args == "cache set-login":
		s.setLogin(t, files[desired.KeyRedisURL])
	case strings.HasSuffix(args, "retire-login"):
		s.retire(t, env["COMMERCE_DATABASE_ROLE"]+env["COMMERCE_REDIS_USER"])
	case args == "encryption rewrite":
		s.sealed = map[string]bool{firstLineOf(files[desired.KeyEncryptionKeys]): true}
	}
	s.endJob(t, job, end)
}

// collect does what the garbage collector does with a Job that goes after its pods.
func (s *shop) collect(t *testing.T, job *batchv1.Job) {
	t.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := s.Get(t.Context(), client.ObjectKeyFromObject(job), job); err != nil {
			return client.IgnoreNotFound(err)
		}
		job.Finalizers = nil
		return client.IgnoreNotFound(s.Update(t.Context(), job))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shop) setLogin(t *testing.T, address []byte) {
	t.Helper()
	user, password := loginOf(t, address)
	s.logins[user] = password
}

// retire takes a login that nobody uses.
func (s *shop) retire(t *testing.T, user string) {
	t.Helper()
	for name, pod := range s.pods {
		for _, file := range []string{desired.KeyDatabaseURL, desired.KeyRedisURL} {
			if used, _ := loginOf(t, pod.files[file]); used != "" && used == user {
				t.Errorf("%s is retired while pod %s uses it", user, name)
			}
		}
	}
	delete(s.logins, user)
}

func loginOf(t *testing.T, address []byte) (user, password string) {
	t.Helper()
	if len(address) == 0 {
		return "", ""
	}
	parsed, err := url.Parse(string(address))
	if err != nil {
		t.Fatal("an address is none")
	}
	password, _ = parsed.User.Password()
	return parsed.User.Username(), password
}

func firstLineOf(file []byte) string {
	line, _, _ := strings.Cut(string(file), "\n")
	return line
}

// check finds what somebody would notice.
func (s *shop) check(t *testing.T) {
	t.Helper()
	users := s.redisUsers(t)
	for name, pod := range s.pods {
		if user, password := loginOf(t, pod.files[desired.KeyDatabaseURL]); user != "" && s.logins[user] != password {
			t.Fatalf("pod %s cannot log in as %s", name, user)
		}
		user, password := loginOf(t, pod.files[desired.KeyRedisURL])
		sum := sha256.Sum256([]byte(password))
		if users != "" && user != "" && !strings.Contains(users, "user "+user+" on #"+hex.EncodeToString(sum[:])+" ") {
			t.Fatalf("a restarted Redis does not know %s of pod %s", user, name)
		}
		if known, ok := s.logins[user]; ok && known != password {
			t.Fatalf("pod %s cannot log in to Redis as %s", name, user)
		}
		for other, peer := range s.pods {
			for _, file := range []string{desired.KeyIdentityKeys, desired.KeyEncryptionKeys} {
				if used := firstLineOf(pod.files[file]); used != "" && len(peer.files[file]) > 0 && !strings.Contains(string(peer.files[file]), used) {
					t.Fatalf("pod %s does not accept what pod %s uses of %s", other, name, file)
				}
			}
		}
		for sealed := range s.sealed {
			if file := pod.files[desired.KeyEncryptionKeys]; sealed != "" && len(file) > 0 && !strings.Contains(string(file), sealed) {
				t.Fatalf("pod %s cannot open what was sealed", name)
			}
		}
	}
}

func (s *shop) redisUsers(t *testing.T) string {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.Get(t.Context(), key(s.namespace, "shop-redis-users"), secret); err != nil {
		return ""
	}
	return string(secret.Data[desired.KeyRedisUsers])
}

// ask writes a request to rotate.
func (s *shop) ask(t *testing.T, secret, id string) {
	t.Helper()
	patch := client.MergeFrom(s.stack.DeepCopy())
	s.stack.Annotations = map[string]string{v1alpha1.AnnotationRotate: v1alpha1.RotationRequest{Secret: secret, ID: id}.String()}
	if err := s.Patch(t.Context(), s.stack, patch); err != nil {
		t.Fatal(err)
	}
}

// offer puts another webhook secret where people put it.
func (s *shop) offer(t *testing.T, value string) {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.Get(t.Context(), key(s.namespace, "stripe"), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["webhookSecret"] = []byte(value)
	if err := s.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

// generations are those of all workloads: a change restarts pods.
func (s *shop) generations(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	deployments, sets := &appsv1.DeploymentList{}, &appsv1.StatefulSetList{}
	s.list(t, deployments)
	s.list(t, sets)
	for _, d := range deployments.Items {
		all[d.Name] = d.Generation
	}
	for _, set := range sets.Items {
		all[set.Name] = set.Generation
	}
	return all
}

// mounted says whether a Secret that anything mounts holds a text.
func (s *shop) mounted(t *testing.T, text string) bool {
	t.Helper()
	secrets := &corev1.SecretList{}
	s.list(t, secrets)
	return slices.ContainsFunc(secrets.Items, func(secret corev1.Secret) bool {
		if secret.Name == "shop-vault" || !ptr.Deref(secret.Immutable, false) {
			return false
		}
		for _, value := range secret.Data {
			if strings.Contains(string(value), text) {
				return true
			}
		}
		return false
	})
}
