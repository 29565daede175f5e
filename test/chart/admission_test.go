package chart_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/kubetest"
	"github.com/commercestack/commercestack/test/chart"
)

// operatorUser is the operator as the API server knows it.
const operatorUser = "system:serviceaccount:" + chart.Namespace + ":" + chart.Release

// people act on one cluster, each with the roles of the chart.
type people struct {
	config *rest.Config
	kinds  *runtime.Scheme
}

// as acts under a name, with what roles give to that name alone.
func (p people) as(t *testing.T, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(p.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	c, err := client.New(config, client.Options{Scheme: p.kinds})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// install gives a cluster what is rendered of policies and roles, and its people their roles.
func install(t *testing.T, config *rest.Config, objects []*unstructured.Unstructured) people {
	t.Helper()
	p := people{config: config, kinds: runtime.NewScheme()}
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(p.kinds); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := client.New(config, client.Options{Scheme: p.kinds})
	if err != nil {
		t.Fatal(err)
	}
	needed := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}
	for _, o := range objects {
		if kind := o.GetKind(); strings.HasPrefix(kind, "ValidatingAdmissionPolicy") || (kind == "ClusterRole" && strings.HasPrefix(o.GetName(), chart.Release)) {
			needed = append(needed, o)
		}
	}
	for user, roles := range map[string][]string{
		"alice": {"-editor"}, "bob": {"-editor"}, "carol": {"-viewer", "-approver"}, "dave": {"-editor", "-approver"}, operatorUser: {""},
	} {
		for _, role := range roles {
			needed = append(needed, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "people-"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: chart.Release + role},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
			})
		}
	}
	for _, o := range needed {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatalf("%T %s: %v", o, o.GetName(), err)
		}
	}
	return p
}

// TestNamesAreHeldToWhoAsks runs both policies, of the chart and of config, in an API server.
func TestNamesAreHeldToWhoAsks(t *testing.T) {
	t.Parallel()
	for name, render := range map[string]func() ([]*unstructured.Unstructured, error){
		"helm":      func() ([]*unstructured.Unstructured, error) { return chart.Template(t.Context()) },
		"kustomize": func() ([]*unstructured.Unstructured, error) { return chart.Kustomize("default") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := render()
			if err != nil {
				t.Fatal(err)
			}
			p := install(t, kubetest.New(t, "config/crd").Config, objects)
			p.waitForPolicies(t)
			p.testApprovals(t)
			p.testRequests(t)
			p.testOthersAreLeftInPeace(t)
		})
	}
}

// waitForPolicies tries until both refuse: the API server notices policies after a while.
func (p people) waitForPolicies(t *testing.T) {
	t.Helper()
	carol, alice := p.as(t, "carol"), p.as(t, "alice")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		one := carol.Create(t.Context(), approval("probe", "nobody"), client.DryRunAll)
		two := alice.Create(t.Context(), stack("probe", "nobody"), client.DryRunAll)
		if denied(one) && denied(two) {
			return
		}
	}
	t.Fatal("the policies are not in force")
}

// denied reports whether an admission policy refused.
func denied(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
}

func approval(name, by string) *v1alpha1.ReleaseApproval {
	return &v1alpha1.ReleaseApproval{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       v1alpha1.ReleaseApprovalSpec{Stack: "shop", Revision: "0123456789abcdef", By: by},
	}
}

func stack(name, requester string) *v1alpha1.CommerceStack {
	s := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	if requester != "" {
		s.Annotations = map[string]string{v1alpha1.AnnotationRequestedBy: requester}
	}
	s.Spec = v1alpha1.CommerceStackSpec{Version: "1.0.0", Environment: v1alpha1.EnvironmentProduction}
	s.Spec.Rollout.Approval = v1alpha1.ApprovalBeforeStart
	s.Spec.Integrations = &v1alpha1.IntegrationsSpec{
		Stripe:   &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "stripe"}},
		SendGrid: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "sendgrid"}},
	}
	return s
}

// refused holds an answer to a refusal that says all of the texts.
func refused(t *testing.T, what string, err error, says ...string) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("%s is answered with %v", what, err)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s is refused without %q: %v", what, text, err)
		}
	}
}

func (p people) testApprovals(t *testing.T) {
	t.Helper()
	carol := p.as(t, "carol")
	refused(t, "another's name", carol.Create(t.Context(), approval("forged", "dave")),
		"spec.by must be your own user name, which is carol", "kubectl commerce approve shop -n shop")
	refused(t, "an editor's approval", p.as(t, "alice").Create(t.Context(), approval("editor", "alice")), `cannot create resource "releaseapprovals"`)
	given := approval("given", "carol")
	if err := carol.Create(t.Context(), given); err != nil {
		t.Fatalf("one's own name: %v", err)
	}
	admin, err := client.New(p.config, client.Options{Scheme: p.kinds})
	if err != nil {
		t.Fatal(err)
	}
	given.Spec.By = "dave"
	if err := admin.Update(t.Context(), given); err == nil || !strings.Contains(err.Error(), "spec cannot change") {
		t.Errorf("a changed approval is answered with %v", err)
	}
	if err := carol.Delete(t.Context(), given); err != nil {
		t.Errorf("taking an approval back: %v", err)
	}
	for _, bad := range []v1alpha1.ReleaseApprovalSpec{
		{Stack: "", Revision: "0123", By: "carol"}, {Stack: "shop", Revision: "v1.2.3", By: "carol"}, {Stack: "shop", Revision: "012", By: "carol"},
	} {
		wrong := approval("wrong", "carol")
		wrong.Spec = bad
		if err := carol.Create(t.Context(), wrong); !apierrors.IsInvalid(err) {
			t.Errorf("%+v is answered with %v", bad, err)
		}
	}
}

func (p people) testRequests(t *testing.T) {
	t.Helper()
	alice, bob := p.as(t, "alice"), p.as(t, "bob")
	patch := func(c client.Client, text string) error {
		return c.Patch(t.Context(), stack("shop", ""), client.RawPatch("application/merge-patch+json", []byte(text)))
	}
	const how = "kubectl annotate commercestack shop -n shop --overwrite commercestack.dev/requested-by="
	refused(t, "a stack that nobody asked for", alice.Create(t.Context(), stack("shop", "")), "kubectl annotate --local", "requested-by=alice")
	refused(t, "a stack in another's name", alice.Create(t.Context(), stack("shop", "bob")), "requested-by must be")
	if err := alice.Create(t.Context(), stack("shop", "alice")); err != nil {
		t.Fatalf("a stack in one's own name: %v", err)
	}
	refused(t, "a change in another's name", patch(bob, `{"spec":{"version":"1.1.0"}}`), how+"bob")
	refused(t, "a forged name", patch(bob, `{"metadata":{"annotations":{"commercestack.dev/requested-by":"carol"}}}`), "your own user name only", how+"bob")
	refused(t, "a removed name", patch(alice, `{"metadata":{"annotations":{"commercestack.dev/requested-by":null}}}`), "not be removed")
	refused(t, "a change with a forged name", patch(bob, `{"metadata":{"annotations":{"commercestack.dev/requested-by":"carol"}},"spec":{"version":"1.1.0"}}`), how+"bob")
	refused(t, "the way out of Production", patch(alice, `{"spec":{"environment":"Staging"}}`), "environment cannot change from Production")
	for what, text := range map[string]string{
		"a change":                  `{"spec":{"version":"1.2.0"}}`,
		"an annotation":             `{"metadata":{"annotations":{"commercestack.dev/rollout":"pause:0123=1"}}}`,
		"the same spec, once again": `{"spec":{"environment":"Production"}}`,
	} {
		if err := patch(alice, text); err != nil {
			t.Errorf("%s by who asked before: %v", what, err)
		}
	}
	// As the refusal says: first the name, then the change.
	if err := patch(bob, `{"metadata":{"annotations":{"commercestack.dev/requested-by":"bob"}}}`); err != nil {
		t.Errorf("bob's own name: %v", err)
	}
	if err := patch(bob, `{"spec":{"version":"1.3.0"}}`); err != nil {
		t.Errorf("a change in bob's own name: %v", err)
	}
}

// testOthersAreLeftInPeace are the operator, and stacks outside Production.
func (p people) testOthersAreLeftInPeace(t *testing.T) {
	t.Helper()
	operator := p.as(t, operatorUser)
	found := stack("shop", "")
	if err := operator.Get(t.Context(), client.ObjectKeyFromObject(found), found); err != nil {
		t.Fatal(err)
	}
	before := found.DeepCopy()
	found.Status.Version = "1.0.0"
	if err := operator.Status().Patch(t.Context(), found, client.MergeFrom(before)); err != nil {
		t.Errorf("the operator's status: %v", err)
	}
	before = found.DeepCopy()
	found.Finalizers = []string{"commercestack.dev/data"}
	if err := operator.Patch(t.Context(), found, client.MergeFrom(before)); err != nil {
		t.Errorf("the operator's finalizer: %v", err)
	}
	alice := p.as(t, "alice")
	staging := stack("staging", "")
	staging.Spec.Environment = v1alpha1.EnvironmentStaging
	if err := alice.Create(t.Context(), staging); err != nil {
		t.Fatalf("a stack in Staging: %v", err)
	}
	staging.Spec.Version, staging.Annotations = "1.1.0", map[string]string{v1alpha1.AnnotationRequestedBy: "bob"}
	if err := alice.Update(t.Context(), staging); err != nil {
		t.Errorf("a change in Staging: %v", err)
	}
	staging.Spec.Environment = v1alpha1.EnvironmentProduction
	refused(t, "the way into Production with a forged name", alice.Update(t.Context(), staging), "requested-by=alice")
}

// TestPoliciesAreAChoice of clusters older than Kubernetes 1.30.
func TestPoliciesAreAChoice(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]int{"true": 2, "false": 0} {
		objects, err := chart.Template(t.Context(), "--set", "admissionPolicy.enabled="+set)
		if err != nil {
			t.Fatal(err)
		}
		if kinds := count(objects); kinds["ValidatingAdmissionPolicy"] != want || kinds["ValidatingAdmissionPolicyBinding"] != want {
			t.Errorf("with %s: %v", set, kinds)
		}
	}
}
