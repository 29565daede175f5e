package observability_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/kubetest"
	"github.com/commercestack/commercestack/test/observability"
)

// startOperator runs the operator against an API server without nodes, and gives
// it a stack. It returns the address of its metrics.
func startOperator(t *testing.T) string {
	t.Helper()
	cluster := kubetest.New(t, "config/crd")
	metrics, err := observability.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context() // it ends before what is cleaned up
	done := make(chan error, 1)
	go func() {
		done <- controllers.Run(ctx, cluster.Config, controllers.Config{
			Images:        desired.Images{Platform: "commercestack/commercestack", Postgres: "postgres:15-bookworm", Redis: "redis:7-bookworm"},
			MetricsListen: metrics, ProbeListen: "0", LeaderElect: true, LeaseNamespace: "default", ClusterDomain: "cluster.local", Concurrency: 1,
			Logger: slog.New(slog.DiscardHandler),
		})
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("the operator ended: %v", err)
		}
	})
	scheme, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	server, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&v1alpha1.CommerceStack{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "demo"},
			Spec:       v1alpha1.CommerceStackSpec{Version: "0.1.0", Environment: v1alpha1.EnvironmentDevelopment},
		},
	} {
		if err := server.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	touched := make(chan struct{})
	go func() {
		defer close(touched)
		touch(ctx, server)
	}()
	t.Cleanup(func() { <-touched })
	return metrics
}

// touch gives the operator something to look at: rates and quantiles of a minute
// need visits, and at rest there are none.
func touch(ctx context.Context, server client.Client) {
	for i := 0; ctx.Err() == nil; i++ {
		stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "demo"}}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/touched":"%d"}}}`, i)
		_ = server.Patch(ctx, stack, client.RawPatch(types.MergePatchType, patch))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func TestEveryQueryOfTheOperatorReturnsData(t *testing.T) {
	t.Parallel()
	board, err := observability.ReadDashboard("../../config/dashboards/operator.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(board.Panels) < 20 || len(board.Variables) != 2 {
		t.Fatalf("%d panels, %d variables were read", len(board.Panels), len(board.Variables))
	}
	server, err := observability.StartPrometheus(t.Context(), t.TempDir(), "../../config/prometheus/rules.yaml", observability.Target{
		Job: "commercestack-operator", Address: startOperator(t),
		Labels: map[string]string{"namespace": "commercestack-system", "pod": "commercestack-operator-0", "endpoint": "metrics"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	returnsData(t, server, board)
	// What the alerts read is there under the names that they use.
	for _, name := range []string{"CommerceStackNotReady", "CommerceOperatorDown"} {
		rules, err := server.Rules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := slices.IndexFunc(rules, func(rule observability.Rule) bool { return rule.Name == name })
		if want := map[string]string{"CommerceStackNotReady": "pending", "CommerceOperatorDown": "inactive"}[name]; rules[found].State != want {
			t.Errorf("%s is %s, want %s: no pod runs here, and the operator does", name, rules[found].State, want)
		}
	}
	values, err := server.LabelValues(t.Context(), "stack", observability.Fill(board.Variables[1].Match, chosen))
	if err != nil || fmt.Sprint(values) != "[demo]" {
		t.Errorf("the choice of stacks is %v, %v", values, err)
	}
}
