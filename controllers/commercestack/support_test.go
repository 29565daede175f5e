package commercestack_test

import (
	"bytes"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func key(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

func containsReplicas(fields []byte) bool { return bytes.Contains(fields, []byte(`"f:replicas"`)) }

// flat is a map as a list, for hashing.
func flat(data map[string][]byte) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(data)) {
		out = append(out, name, string(data[name]))
	}
	return out
}

// codecs speak for a plain REST client.
func (w *world) codecs() runtime.NegotiatedSerializer {
	return serializer.NewCodecFactory(w.Scheme()).WithoutConversion()
}
