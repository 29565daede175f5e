package kubetest_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/commercestack/commercestack/internal/kubetest"
)

func TestNewServesTheAPI(t *testing.T) {
	t.Parallel()
	cluster := kubetest.New(t)
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	// A version of 0.0.0 would mean that the linker flags were lost.
	if !strings.HasPrefix(version.GitVersion, "v1.") {
		t.Errorf("version = %s", version.GitVersion)
	}
	made, err := client.CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
	if err != nil || made.UID == "" {
		t.Errorf("made %+v: %v", made, err)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Run("programs", func(t *testing.T) {
		t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
		if _, err := kubetest.Start(); err == nil || !strings.Contains(err.Error(), "start kube-apiserver and etcd") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("repository", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if _, err := kubetest.Start(); err == nil || !strings.Contains(err.Error(), "inside the repository") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("custom resources", func(t *testing.T) {
		if _, err := kubetest.Start("no/such/folder"); err == nil || !strings.Contains(err.Error(), "no/such/folder") {
			t.Errorf("err = %v", err)
		}
	})
}
