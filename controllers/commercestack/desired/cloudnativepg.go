package desired

import (
	"cmp"
	"maps"
	"path"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// LabelReload on a Secret has CloudNativePG watch it. The certificate of a
// Managed cluster must carry it.
const LabelReload = "cnpg.io/reload"

// labelCluster is on the pods of a Managed cluster.
const labelCluster = "cnpg.io/cluster"

const (
	managedInstances            int64 = 3
	managedInstancesDevelopment int64 = 1
)

// CloudNativePG returns the Cluster of mode Managed, nil in other modes. Its
// certificate is the stack's own (S-postgres-tls), so that components trust one
// authority in every mode, and the user postgres has the password of
// Secrets.Postgres.
func CloudNativePG(in Input) *unstructured.Unstructured {
	if in.PostgresMode != v1alpha1.DataManaged {
		return nil
	}
	owned := in.Stack.Spec.DeletionPolicy == v1alpha1.DeletionDelete
	cluster := foreign(in, "postgresql.cnpg.io/v1", "Cluster", ObjectName(in.Stack.Name, NamePostgres), NamePostgres, owned)
	instances := managedInstances
	if development(in) {
		instances = managedInstancesDevelopment
	}
	if given := in.Stack.Spec.Postgres.Instances; given != nil {
		instances = int64(*given)
	}
	certificate := TLSName(in.Stack.Name, NamePostgres)
	spec := map[string]any{
		"instances":             instances,
		"enableSuperuserAccess": true,
		"superuserSecret":       map[string]any{"name": in.Secrets.Postgres},
		"certificates":          map[string]any{"serverCASecret": certificate, "serverTLSSecret": certificate},
		"storage":               managedStorage(in),
		"resources":             managedResources(in),
		"postgresql":            managedServer(in, instances),
	}
	if Recovered(in) {
		spec["bootstrap"] = map[string]any{"recovery": managedRecovery(in)}
		spec["externalClusters"] = []any{managedOrigin(in)}
	} else {
		spec["bootstrap"] = map[string]any{"initdb": map[string]any{
			"database": Database, "owner": Database, "encoding": "UTF8", "localeCollate": "C.UTF-8", "localeCType": "C.UTF-8", "dataChecksums": true,
		}}
	}
	// The image of a Managed cluster is made for CloudNativePG, so the one the
	// operator was installed with is not for it.
	if image := in.Stack.Spec.Postgres.Image; image != "" {
		spec["imageName"] = image
	}
	if backup := managedBackup(in); backup != nil {
		spec["backup"] = backup
	}
	if secrets := in.Stack.Spec.ImagePullSecrets; len(secrets) > 0 {
		var names []any
		for _, secret := range secrets {
			names = append(names, map[string]any{"name": secret.Name})
		}
		spec["imagePullSecrets"] = names
	}
	cluster.Object["spec"] = spec
	return cluster
}

// origin is the name, within the Cluster, of the server that a new one begins with.
const origin = "origin"

// Recovered says that the database begins with what CloudNativePG kept of another one.
func Recovered(in Input) bool {
	return in.PostgresMode == v1alpha1.DataManaged && in.Stack.Spec.Restore != nil && in.Stack.Spec.Restore.From.Recovery != nil
}

// moment that a recovery leads to, empty for the end of the log.
func moment(recovery *v1alpha1.RecoverySource) string {
	if recovery.Time == nil {
		return ""
	}
	return recovery.Time.UTC().Format(time.RFC3339)
}

// managedRecovery says up to which moment the log of changes is followed.
func managedRecovery(in Input) map[string]any {
	recovery := map[string]any{"source": origin, "database": Database, "owner": Database}
	if target := moment(in.Stack.Spec.Restore.From.Recovery); target != "" {
		recovery["recoveryTarget"] = map[string]any{"targetTime": target}
	}
	return recovery
}

// managedOrigin is where the backups and the log of changes are.
func managedOrigin(in Input) map[string]any {
	folder := restoreFolder(in)
	barman := barmanStore(RestoreStore(&in.Stack.Spec), folder)
	barman["serverName"] = cmp.Or(in.Stack.Spec.Restore.From.Recovery.Server, ObjectName(path.Base(folder), NamePostgres))
	return map[string]any{"name": origin, "barmanObjectStore": barman}
}

func managedStorage(in Input) map[string]any {
	size, class := storageOf(in.Stack.Spec.Postgres.Storage)
	storage := map[string]any{"size": size.String()}
	if class != nil {
		storage["storageClass"] = *class
	}
	return storage
}

func managedResources(in Input) map[string]any {
	n := postgresNeeds(in)
	requests, limits := map[string]any{}, map[string]any{}
	for name, quantity := range n.requests {
		requests[string(name)] = quantity.String()
	}
	for name, quantity := range n.limits {
		limits[string(name)] = quantity.String()
	}
	return map[string]any{"requests": requests, "limits": limits}
}

// managedServer configures the servers. CloudNativePG sets what the stand-alone
// server is told about TLS by itself.
func managedServer(in Input, instances int64) map[string]any {
	parameters := make(map[string]any)
	for name, value := range maps.All(tunedParameters(in)) {
		parameters[name] = value
	}
	server := map[string]any{
		"parameters": parameters,
		"pg_hba":     []any{strings.Join([]string{"hostssl", "all", "all", "all", "scram-sha-256"}, " ")},
	}
	if instances > 1 {
		// An order that was confirmed is on two servers. With only two, a lost one must not stop the shop.
		durability := "required"
		if instances == 2 {
			durability = "preferred"
		}
		server["synchronous"] = map[string]any{"method": "any", "number": int64(1), "dataDurability": durability}
	}
	return server
}
