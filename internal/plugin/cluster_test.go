package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/kubetest"
)

// testCluster is a real API server, without controllers: the tests play their part.
type testCluster struct {
	client.Client

	kubeconfig string
}

func newTestCluster(t *testing.T) testCluster {
	t.Helper()
	running := kubetest.New(t, "config/crd")
	user, err := running.Environment.AddUser(envtest.User{Name: "alice", Groups: []string{"system:masters"}}, running.Config)
	if err != nil {
		t.Fatal(err)
	}
	content, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, content, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = &kubeconfig
	c, err := options{flags: flags, streams: genericiooptions.NewTestIOStreamsDiscard()}.connect()
	if err != nil {
		t.Fatal(err)
	}
	return testCluster{Client: c.Client, kubeconfig: kubeconfig}
}

// create writes a shop into a namespace of its own, status included.
func (c testCluster) create(t *testing.T, s *shop) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	for _, object := range append([]client.Object{namespace, s.stack}, s.objects...) {
		status := object.DeepCopyObject().(client.Object)
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
		switch object.(type) {
		case *corev1.Namespace, *corev1.Secret, *corev1.Event, *corev1.Service:
			continue
		}
		status.SetResourceVersion(object.GetResourceVersion())
		status.SetUID(object.GetUID())
		if err := c.Status().Update(t.Context(), status); err != nil {
			t.Fatalf("status of %T %s: %v", object, object.GetName(), err)
		}
	}
}

// run is a command line and what it printed.
func (c testCluster) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	o := options{
		flags:   genericclioptions.NewConfigFlags(false),
		streams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut},
		now:     func() time.Time { return noon },
		newID:   func() string { return "id1" },
		poll:    10 * time.Millisecond,
	}
	code = run(t.Context(), append([]string{"--kubeconfig", c.kubeconfig}, args...), o)
	return out.String(), errOut.String(), code
}

func (c testCluster) get(t *testing.T, namespace string) *v1alpha1.CommerceStack {
	t.Helper()
	stack := &v1alpha1.CommerceStack{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "demo"}, stack); err != nil {
		t.Fatal(err)
	}
	return stack
}

// TestOnACluster starts one API server for all cases.
func TestOnACluster(t *testing.T) { //nolint:tparallel // the cases share a cluster that must outlive them
	t.Parallel()
	c := newTestCluster(t)
	t.Run("unreadable", func(t *testing.T) { testUnreadable(t, c) })
	for name, newScene := range shops {
		c.create(t, newScene(t, name))
	}
	t.Run("status", func(t *testing.T) { testStatus(t, c) })
	t.Run("open", func(t *testing.T) { testOpen(t, c) })
	t.Run("pause", func(t *testing.T) { testPause(t, c) })
	t.Run("rollout", func(t *testing.T) { testRollout(t, c) })
	t.Run("approve", func(t *testing.T) { testApprove(t, c) })
	t.Run("rotate", func(t *testing.T) { testRotate(t, c) })
	t.Run("backup", func(t *testing.T) { testBackup(t, c) })
}

func testUnreadable(t *testing.T, c testCluster) {
	t.Helper()
	for _, args := range [][]string{
		{"status"},
		{"status", "-A"},
		{"status", "-n", "nowhere", "demo"},
		{"status", "--output", "yaml"},
		{"status", "demo", "-A"},
		{"status", "--context", "nowhere"},
		{"status", "--server", "https://127.0.0.1:1"},
		{"explode"},
	} {
		if out, errOut, code := c.run(t, args...); code != ExitUnreadable || out != "" || !strings.HasPrefix(errOut, "kubectl commerce: ") {
			t.Errorf("%v: code %d, printed %q and %q", args, code, out, errOut)
		}
	}
}

func testStatus(t *testing.T, c testCluster) {
	t.Helper()
	for name := range shops {
		want := ExitNotReady
		if name == "healthy" || name == "rolling" {
			want = ExitOK
		}
		out, errOut, code := c.run(t, "status", "demo", "-n", name)
		if code != want {
			t.Errorf("%s: code %d, want %d: %s", name, code, want, errOut)
		}
		golden(t, name+".txt", out)
	}
	out, _, code := c.run(t, "status", "-A", "-o", "json")
	var all struct{ Items []report }
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all.Items) != len(shops) || code != ExitNotReady {
		t.Errorf("%d stacks, code %d, %v", len(all.Items), code, err)
	}
	for _, r := range all.Items {
		if r.Ready != (r.Namespace == "healthy" || r.Namespace == "rolling") {
			t.Errorf("%s is ready %t", r.Namespace, r.Ready)
		}
	}
}

func testOpen(t *testing.T, c testCluster) {
	t.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "demo-gateway", Namespace: "healthy"}}
	service.Spec.Ports = []corev1.ServicePort{{Name: "public", Port: 443}}
	if err := c.Create(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	out, errOut, code := c.run(t, "open", "-n", "healthy")
	if code != ExitOK {
		t.Fatalf("code %d: %s", code, errOut)
	}
	golden(t, "open.txt", out)
	if _, _, code := c.run(t, "open", "-n", "unseen"); code != ExitUnreadable {
		t.Errorf("a shop without a gateway gives %d", code)
	}
}

func testPause(t *testing.T, c testCluster) {
	t.Helper()
	policy := func() v1alpha1.ReconcilePolicy { return c.get(t, "healthy").Spec.ReconcilePolicy }
	if _, errOut, code := c.run(t, "resume", "demo", "-n", "healthy"); code != ExitNotReady {
		t.Errorf("resuming a managed stack gives %d: %s", code, errOut)
	}
	if _, errOut, code := c.run(t, "pause", "demo", "-n", "healthy"); code != ExitOK || policy() != v1alpha1.ReconcilePaused {
		t.Errorf("pausing gives %d, %s: %s", code, policy(), errOut)
	}
	if _, errOut, code := c.run(t, "resume", "demo", "-n", "healthy"); code != ExitOK || policy() != v1alpha1.ReconcileManaged {
		t.Errorf("resuming gives %d, %s: %s", code, policy(), errOut)
	}
	stack := c.get(t, "healthy")
	for _, entry := range stack.ManagedFields {
		if entry.Manager == fieldOwner && entry.Operation != metav1.ManagedFieldsOperationUpdate {
			t.Errorf("the plugin applies as %v", entry)
		}
	}
	stack.Spec.ReconcilePolicy = v1alpha1.ReconcileObserve
	if err := c.Update(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if _, _, code := c.run(t, "pause", "demo", "-n", "healthy"); code != ExitNotReady || policy() != v1alpha1.ReconcileObserve {
		t.Errorf("pausing an observed stack gives %d, %s", code, policy())
	}
}

func testRollout(t *testing.T, c testCluster) {
	t.Helper()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"pause", "demo", "--rollout"}, "pause:9b2e=id1"},
		{[]string{"resume", "demo", "--rollout"}, "resume:9b2e=id1"},
		{[]string{"promote", "demo"}, "promote:9b2e=id1"},
		{[]string{"abort", "demo"}, "abort:9b2e=id1"},
		{[]string{"undo", "demo"}, "undo:=id1"},
		{[]string{"rollback", "demo", "--to", "0a0a"}, "undo:0a0a=id1"},
	} {
		_, errOut, code := c.run(t, append(test.args, "-n", "rolling")...)
		got := c.get(t, "rolling").Annotations[v1alpha1.AnnotationRollout]
		if code != ExitOK || got != test.want {
			t.Errorf("%v: code %d, wrote %q, want %q: %s", test.args, code, got, test.want, errOut)
		}
		if _, err := v1alpha1.ParseRolloutRequest(got); err != nil {
			t.Error(err)
		}
	}
	for _, args := range [][]string{{"abort", "demo"}, {"promote", "demo"}, {"approve", "demo"}, {"pause", "demo", "--rollout"}} {
		if _, _, code := c.run(t, append(args, "-n", "sick")...); code != ExitNotReady || len(c.get(t, "sick").Annotations) > 0 {
			t.Errorf("%v without a rollout gives %d", args, code)
		}
	}
	stack := c.get(t, "rolling")
	stack.Status.Rollout.Phase = v1alpha1.RolloutRolledBack
	if err := c.Status().Update(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := c.run(t, "resume", "demo", "-n", "rolling", "--rollout"); code != ExitOK || c.get(t, "rolling").Annotations[v1alpha1.AnnotationRollout] != "resume:0bad=id1" {
		t.Errorf("trying a failed revision again gives %d: %s", code, errOut)
	}
	stack = c.get(t, "rolling")
	stack.Status.Rollout.Phase = v1alpha1.RolloutAwaitingApproval
	if err := c.Status().Update(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if _, _, code := c.run(t, "approve", "demo", "-n", "rolling", "--revision", "0bad"); code != ExitNotReady {
		t.Errorf("approving another revision gives %d", code)
	}
	if _, errOut, code := c.run(t, "approve", "demo", "-n", "rolling", "--revision", "9b2e"); code != ExitOK {
		t.Errorf("approving gives %d: %s", code, errOut)
	}
	if got := c.get(t, "rolling").Annotations[v1alpha1.AnnotationApprove]; got != "9b2e" {
		t.Errorf("approved %q", got)
	}
}

// testApprove agrees to a revision in Production as alice, whom the kubeconfig names.
func testApprove(t *testing.T, c testCluster) {
	t.Helper()
	stack := c.get(t, "rolling")
	stack.Name, stack.UID, stack.ResourceVersion, stack.Annotations = "live", "", "", nil
	stack.Spec.Environment, stack.Spec.Rollout.Approval = v1alpha1.EnvironmentProduction, v1alpha1.ApprovalBeforeStart
	ref := func(name string) *v1alpha1.IntegrationRef {
		return &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: name}}
	}
	stack.Spec.Integrations = &v1alpha1.IntegrationsSpec{Stripe: ref("stripe"), SendGrid: ref("sendgrid")}
	status := stack.Status.DeepCopy()
	if err := c.Create(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	stack.Status = *status
	stack.Status.Rollout.Phase, stack.Status.Rollout.Revision = v1alpha1.RolloutAwaitingApproval, "9b2e"
	if err := c.Status().Update(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	requestedBy := func(name string) {
		t.Helper()
		before := stack.DeepCopy()
		stack.Annotations = map[string]string{v1alpha1.AnnotationRequestedBy: name}
		if err := c.Patch(t.Context(), stack, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	given := func() []v1alpha1.ReleaseApproval {
		t.Helper()
		list := &v1alpha1.ReleaseApprovalList{}
		if err := c.List(t.Context(), list, client.InNamespace("rolling")); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	refuse := func(says string, args ...string) {
		t.Helper()
		_, errOut, code := c.run(t, append([]string{"approve", "live", "-n", "rolling"}, args...)...)
		if code == ExitOK || !strings.Contains(errOut, says) || len(given()) != 0 {
			t.Errorf("%v is answered with %d, %d approvals: %s", args, code, len(given()), errOut)
		}
	}
	refuse("nobody said who asked for the change")
	requestedBy("alice")
	refuse("alice asked for the change, so another person must agree")
	requestedBy("bob")
	refuse("--expires must be longer", "--expires", "0s")
	refuse("revision 9b2e waits, not 0bad", "--revision", "0bad")
	for range 2 { // the second time nothing is left to do
		if _, errOut, code := c.run(t, "approve", "live", "-n", "rolling", "--expires", "2h"); code != ExitOK {
			t.Errorf("approving gives %d: %s", code, errOut)
		}
	}
	all := given()
	if len(all) != 1 || all[0].Name != "live-9b2e" || all[0].OwnerReferences[0].UID != stack.UID {
		t.Fatalf("approvals: %+v", all)
	}
	if s := all[0].Spec; s.Stack != "live" || s.Revision != "9b2e" || s.By != "alice" || !s.ExpiresAt.Time.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("approved %+v", s)
	}
	// One that ended, or is another's, leaves room for one's own.
	if err := c.Delete(t.Context(), &all[0]); err != nil {
		t.Fatal(err)
	}
	late := &v1alpha1.ReleaseApproval{ObjectMeta: metav1.ObjectMeta{Namespace: "rolling", Name: "live-9b2e"}, Spec: all[0].Spec}
	late.Spec.ExpiresAt = &metav1.Time{Time: noon.Add(-time.Minute)}
	if err := c.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := c.run(t, "approve", "live", "-n", "rolling"); code != ExitOK || len(given()) != 2 {
		t.Errorf("approving beside an expired approval gives %d, %d approvals: %s", code, len(given()), errOut)
	}
	if got := c.annotations(t, "live"); got[v1alpha1.AnnotationApprove] != "" {
		t.Errorf("annotations: %v", got)
	}
	// Pausing changes the spec, and says who asked for it.
	if _, errOut, code := c.run(t, "pause", "live", "-n", "rolling"); code != ExitOK || c.annotations(t, "live")[v1alpha1.AnnotationRequestedBy] != "alice" {
		t.Errorf("pausing gives %d: %v, %s", code, c.annotations(t, "live"), errOut)
	}
}

// annotations of a stack beside the demo.
func (c testCluster) annotations(t *testing.T, name string) map[string]string {
	t.Helper()
	stack := &v1alpha1.CommerceStack{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "rolling", Name: name}, stack); err != nil {
		t.Fatal(err)
	}
	return stack.Annotations
}

func testRotate(t *testing.T, c testCluster) {
	t.Helper()
	if _, errOut, code := c.run(t, "rotate", "demo", "postgres-shop", "-n", "sick"); code != ExitNotReady || !strings.Contains(errOut, "postgres-order") {
		t.Errorf("an unknown secret gives %d: %s", code, errOut)
	}
	if _, errOut, code := c.run(t, "rotate", "demo", "postgres-order", "-n", "sick"); code != ExitOK {
		t.Errorf("rotating gives %d: %s", code, errOut)
	}
	want := v1alpha1.RotationRequest{Secret: "postgres-order", ID: "id1"}
	if got, err := v1alpha1.ParseRotationRequest(c.get(t, "sick").Annotations[v1alpha1.AnnotationRotate]); err != nil || got != want {
		t.Errorf("asked for %v, %v", got, err)
	}
	if _, errOut, code := c.run(t, "rotate", "demo", "postgres-order", "-n", "sick", "--wait", "--timeout", "50ms"); code != ExitNotReady ||
		!strings.Contains(errOut, "it goes on by itself") {
		t.Errorf("a wait that is over gives %d: %s", code, errOut)
	}
	rotate := func(change func(*v1alpha1.SecretStatus)) (string, string, int) {
		stack := c.get(t, "sick")
		delete(stack.Annotations, v1alpha1.AnnotationRotate)
		if err := c.Update(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
		rotated := make(chan error, 1)
		go func() {
			for c.get(t, "sick").Annotations[v1alpha1.AnnotationRotate] == "" {
				time.Sleep(10 * time.Millisecond)
			}
			rotated <- retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				stack := c.get(t, "sick")
				at := slices.IndexFunc(stack.Status.Secrets, func(s v1alpha1.SecretStatus) bool { return s.Name == "postgres-order" })
				change(&stack.Status.Secrets[at])
				return c.Status().Update(t.Context(), stack)
			})
		}()
		out, errOut, code := c.run(t, "rotate", "demo", "postgres-order", "-n", "sick", "--wait", "--timeout", "30s")
		if err := <-rotated; err != nil {
			t.Fatal(err)
		}
		return out, errOut, code
	}
	if out, errOut, code := rotate(func(s *v1alpha1.SecretStatus) { s.ActiveID, s.State = "b", "Current" }); code != ExitOK || !strings.Contains(out, "postgres-order is b now") {
		t.Errorf("a rotation that is waited for gives %d: %s %s", code, out, errOut)
	}
	_, errOut, code := rotate(func(s *v1alpha1.SecretStatus) { s.State, s.LastError = "Failed", "the database refuses it" })
	if code != ExitNotReady || !strings.Contains(errOut, "the database refuses it") {
		t.Errorf("a rotation that fails gives %d: %s", code, errOut)
	}
}

// TestMainSaysWhatIsWrong covers the command line as a process sees it.
func TestMainSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("too slow"))
	defer cancel()
	missing := ptr.To(filepath.Join(t.TempDir(), "missing"))
	code := Main(ctx, []string{"status", "--kubeconfig", *missing}, genericiooptions.IOStreams{Out: &out, ErrOut: &errOut})
	if code != ExitUnreadable || errOut.Len() == 0 {
		t.Errorf("a missing kubeconfig gives %d: %s", code, &errOut)
	}
	errOut.Reset()
	if code := Main(ctx, []string{"--help"}, genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}); code != ExitOK || !strings.Contains(out.String(), "kubectl commerce") {
		t.Errorf("help gives %d: %s", code, &out)
	}
}
