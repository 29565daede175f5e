package apply

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AnnotationApplied holds the digest of the configuration that was applied last. A
// process that remembers nothing learns from it which fields of an object are its
// own: those of the configuration with the same digest, and no others.
const AnnotationApplied = "commercestack.dev/applied"

// wanted is an object as it is desired. At rest its name and its digest are all
// that is looked at.
type wanted struct {
	key

	data    []byte
	digest  string
	content *unstructured.Unstructured
}

// typedName is what every configuration that is made for a kind tells of itself.
type typedName interface {
	GetAPIVersion() *string
	GetKind() *string
	GetNamespace() *string
	GetName() *string
}

// decode turns a configuration into what is sent, and names and hashes it.
func decode(configuration runtime.ApplyConfiguration) (*wanted, error) {
	data, err := json.Marshal(configuration)
	if err != nil {
		return nil, fmt.Errorf("encode an object: %w", err)
	}
	w := &wanted{data: data, digest: digest(data)}
	if typed, ok := configuration.(typedName); ok {
		w.kind = schema.FromAPIVersionAndKind(ptr.Deref(typed.GetAPIVersion(), ""), ptr.Deref(typed.GetKind(), ""))
		w.namespace, w.name = ptr.Deref(typed.GetNamespace(), ""), ptr.Deref(typed.GetName(), "")
	} else {
		object, err := w.object()
		if err != nil {
			return nil, err
		}
		w.key = key{kind: object.GroupVersionKind(), namespace: object.GetNamespace(), name: object.GetName()}
	}
	if w.kind.Kind == "" || w.name == "" {
		return nil, fmt.Errorf("an object without kind or name was desired")
	}
	return w, nil
}

// object is what is wanted, with numbers as the server's objects have them. It must
// not be changed.
func (w *wanted) object() (*unstructured.Unstructured, error) {
	if w.content != nil {
		return w.content, nil
	}
	object := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(w.data, &object.Object); err != nil {
		return nil, fmt.Errorf("encode an object: %w", err)
	}
	w.content = object
	return object, nil
}

// signed is what is sent: the object and its digest. It may be changed.
func (w *wanted) signed() (*unstructured.Unstructured, error) {
	object, err := w.object()
	if err != nil {
		return nil, err
	}
	signed := object.DeepCopy()
	annotations := signed.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationApplied] = w.digest
	signed.SetAnnotations(annotations)
	return signed, nil
}

// standsIn says whether all that is wanted stands in a live object.
func (w *wanted) standsIn(live client.Object) (bool, error) {
	object, err := w.object()
	if err != nil {
		return false, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, fmt.Errorf("read %s %s: %w", w.kind.Kind, w.name, err)
	}
	content["apiVersion"], content["kind"] = object.GetAPIVersion(), object.GetKind()
	return within(object.Object, content), nil
}

// within says whether everything in want stands in have. The server leaves out empty lists.
func within(want, have any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		for name, value := range want {
			if !ok || !within(value, object[name]) {
				return false
			}
		}
		return ok
	case []any:
		list, ok := have.([]any)
		if !ok && have != nil || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !within(want[i], list[i]) {
				return false
			}
		}
		return true
	default:
		return equality.Semantic.DeepEqual(want, have)
	}
}
