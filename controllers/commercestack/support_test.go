package commercestack_test

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
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

// everyWrite lets the operator die at each write that it makes; without it at a
// part of them, another one in each run.
var (
	everyWrite = flag.Bool("every-write", false, "let the operator die at each of its writes instead of at a sample")
	sampleSeed = flag.Uint64("sample", rand.Uint64(), "which writes are in the sample")
)

// chosen says whether the operator dies at a write, which is one of four.
func chosen(write string) bool {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, *sampleSeed, write) // never fails
	return *everyWrite || h.Sum64()%4 == 0
}
