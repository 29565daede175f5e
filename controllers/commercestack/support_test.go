package commercestack_test

import (
	"bytes"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func client0(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

func containsReplicas(fields []byte) bool { return bytes.Contains(fields, []byte(`"f:replicas"`)) }
