package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fingerprint is what of a live object an apply could change. The generation
// stands for the spec where the kind counts it; where it does not, the content
// without the status does.
func fingerprint(live client.Object) (string, error) {
	if live.GetGeneration() != 0 {
		return hash(map[string]any{
			"generation": strconv.FormatInt(live.GetGeneration(), 10), "labels": live.GetLabels(), "annotations": live.GetAnnotations(),
			"owners": live.GetOwnerReferences(),
		})
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", live.GetName(), err)
	}
	return hash(strip(content))
}

// strip removes what the server writes by itself.
func strip(content map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range content {
		if name != "status" {
			out[name] = value
		}
	}
	if metadata, ok := content["metadata"].(map[string]any); ok {
		kept := map[string]any{}
		for name, value := range metadata {
			if name != "managedFields" && name != "resourceVersion" && name != "generation" {
				kept[name] = value
			}
		}
		out["metadata"] = kept
	}
	return out
}

// same says whether two objects differ in nothing that an apply could change.
func same(a, b *unstructured.Unstructured) bool {
	return equality.Semantic.DeepEqual(strip(a.Object), strip(b.Object))
}

// older says whether resource version a is before b. Versions that cannot be
// compared are not.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}

func hash(value any) (string, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("hash: %w", err)
	}
	return digest(data), nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
