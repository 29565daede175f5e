//go:build cluster

package cluster_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	operatorNamespace = "commercestack-system"
	release           = "commercestack-operator"
	chart             = "../../charts/commercestack-operator"
)

var (
	// kube talks to the cluster.
	kube client.Client
	// keep leaves everything in the cluster after the tests.
	keep = flag.Bool("keep", false, "leave the operator and the stacks in the cluster")
	// restFor is how long nothing may change at rest.
	restFor = flag.Duration("rest", 2*time.Minute, "how long nothing may change at rest")
)

func TestMain(m *testing.M) {
	flag.Parse()
	log.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := connect(); err != nil {
		fmt.Fprintln(os.Stderr, "The cluster cannot be reached; start it with make cluster-up:", err)
		return 1
	}
	started := time.Now()
	if err := installOperator(); err != nil {
		fmt.Fprintln(os.Stderr, "install the operator:", err)
		return 1
	}
	fmt.Printf("operator installed by its chart in %.1f s\n", time.Since(started).Seconds())
	status := m.Run()
	if *keep {
		return status
	}
	if err := uninstallOperator(); err != nil {
		fmt.Fprintln(os.Stderr, "uninstall the operator:", err)
		return 1
	}
	return status
}

func connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	if kube, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return kube.List(ctx, &corev1.NodeList{})
}

// installOperator installs the chart as a person would, and waits for its pods.
func installOperator() error {
	if err := helm("upgrade", "--install", release, chart, "--namespace", operatorNamespace, "--create-namespace",
		// A test has minutes where keys and tokens live for hours.
		"--set-json", `extraArgs=["--rotation-settle=20s","--rotation-identity-life=90s","--rotation-signing-lead=20s","--rotation-signing-life=20s"]`); err != nil {
		return err
	}
	return operatorAvailable()
}

// upgradeOperatorTo changes values of the chart as a person would, and waits for its pods.
func upgradeOperatorTo(values ...string) error {
	arguments := []string{"upgrade", release, chart, "--namespace", operatorNamespace, "--reuse-values"}
	for _, value := range values {
		arguments = append(arguments, "--set", value)
	}
	if err := helm(arguments...); err != nil {
		return err
	}
	return operatorAvailable()
}

func operatorAvailable() error {
	return waitFor(context.Background(), 90*time.Second, "the operator's Deployment is available", func(ctx context.Context) (bool, error) {
		deployment, err := operatorDeployment(ctx)
		if err != nil {
			return false, err
		}
		return deployment.Status.ObservedGeneration == deployment.Generation && deployment.Status.UpdatedReplicas == deployment.Status.Replicas &&
			deployment.Status.UpdatedReplicas > 0 && deployment.Status.AvailableReplicas == deployment.Status.Replicas, nil
	})
}

func operatorDeployment(ctx context.Context) (*appsv1.Deployment, error) {
	deployment := &appsv1.Deployment{}
	return deployment, kube.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: release}, deployment)
}

// uninstallOperator removes the chart and the namespace, which must not be held up by anything.
func uninstallOperator() error {
	if err := helm("uninstall", release, "--namespace", operatorNamespace); err != nil {
		return err
	}
	ctx := context.Background()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}
	if err := kube.Delete(ctx, namespace); err != nil {
		return err
	}
	return waitFor(ctx, time.Minute, "the operator's namespace is gone", func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}
