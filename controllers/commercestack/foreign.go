package commercestack

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// The kinds of others that the operator uses where the cluster has them.
var (
	kindServiceMonitor = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"}
	kindHTTPRoute      = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
	kindCertificate    = schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}
	kindCluster        = schema.GroupVersionKind{Group: "postgresql.cnpg.io", Version: "v1", Kind: "Cluster"}
	kindScheduled      = schema.GroupVersionKind{Group: "postgresql.cnpg.io", Version: "v1", Kind: "ScheduledBackup"}
	kindSnapshot       = schema.GroupVersionKind{Group: "snapshot.storage.k8s.io", Version: "v1", Kind: "VolumeSnapshot"}
	kindScaledObject   = schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"}
	kindExternalSecret = schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"}

	kindAPIService = schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}
	kindDefinition = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// definitions are the names of the CustomResourceDefinitions of those kinds.
var definitions = map[string]schema.GroupVersionKind{
	"servicemonitors.monitoring.coreos.com":   kindServiceMonitor,
	"httproutes.gateway.networking.k8s.io":    kindHTTPRoute,
	"certificates.cert-manager.io":            kindCertificate,
	"clusters.postgresql.cnpg.io":             kindCluster,
	"scheduledbackups.postgresql.cnpg.io":     kindScheduled,
	"volumesnapshots.snapshot.storage.k8s.io": kindSnapshot,
	"scaledobjects.keda.sh":                   kindScaledObject,
	"externalsecrets.external-secrets.io":     kindExternalSecret,
}

// foreignKinds knows which kinds of others the cluster serves.
type foreignKinds struct {
	reader client.Reader
	mapper meta.RESTMapper
	// watch starts or ends the watch of a kind, and says whether changes are seen: what
	// happens before a new watch has begun is told to nobody.
	watch func(kind schema.GroupVersionKind, present bool) bool
}

func newForeignKinds(reader client.Reader, mapper meta.RESTMapper) *foreignKinds {
	return &foreignKinds{reader: reader, mapper: mapper, watch: func(schema.GroupVersionKind, bool) bool { return true }}
}

// has asks the cache whether the definition is there, so that a missing kind
// costs no request, and then the mapper whether the kind is served.
func (f *foreignKinds) has(kind schema.GroupVersionKind) bool {
	for name, defined := range definitions {
		if defined != kind {
			continue
		}
		definition := &metav1.PartialObjectMetadata{}
		definition.SetGroupVersionKind(kindDefinition)
		if f.reader.Get(context.Background(), client.ObjectKey{Name: name}, definition) != nil || definition.DeletionTimestamp != nil {
			return false
		}
		_, err := f.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		return err == nil
	}
	return false
}

// settleTime is how long a kind may take from its definition to being served.
const settleTime = 5 * time.Second

// applyForeign applies an object of somebody else's kind. That the kind is
// defined and not served, because it just came or is about to go, is no error.
func (v *visit) applyForeign(ctx context.Context, object *unstructured.Unstructured) Result {
	err := v.pass.Apply(ctx, client.ApplyConfigurationFromUnstructured(object))
	if meta.IsNoMatchError(err) || missing(err) {
		return after(settleTime)
	}
	return failed(err)
}

// capabilities looks at all of them, and has those watched that are there. It says
// whether every watch has begun.
func (f *foreignKinds) capabilities() (found desired.Capabilities, watched bool) {
	present := map[schema.GroupVersionKind]bool{}
	watched = true
	for _, kind := range sortedKinds() {
		present[kind] = f.has(kind)
		if kind != kindSnapshot {
			watched = f.watch(kind, present[kind]) && watched
		}
	}
	return desired.Capabilities{
		ServiceMonitor: present[kindServiceMonitor], HTTPRoute: present[kindHTTPRoute],
		CertManager: present[kindCertificate], CloudNativePG: present[kindCluster], KEDA: present[kindScaledObject],
		ExternalSecrets: present[kindExternalSecret],
		QueueMetrics:    f.servesQueues(),
	}, watched
}

// servesQueues asks the cache whether the external metrics API is that of our
// adapter: a cluster has one, and another knows nothing of queues.
func (f *foreignKinds) servesQueues() bool {
	service := &metav1.PartialObjectMetadata{}
	service.SetGroupVersionKind(kindAPIService)
	err := f.reader.Get(context.Background(), client.ObjectKey{Name: desired.ExternalMetricsAPI}, service)
	return err == nil && service.DeletionTimestamp == nil && service.Labels[desired.LabelPartOf] == desired.AppName
}
