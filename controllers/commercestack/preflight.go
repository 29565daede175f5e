package commercestack

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// reference is a Secret that the spec names.
type reference struct {
	// field of the spec.
	field string
	name  string
	// keys it must have.
	keys []string
}

// The keys of Secrets that people make.
const (
	refURL           = "url"
	refCA            = "ca.crt"
	refSecretKey     = "secretKey"
	refWebhookSecret = "webhookSecret"
	refAPIKey        = "apiKey"
	refUsername      = "username"
	refPassword      = "password"
	refAccessKey     = "accessKeyID"
	refSecretAccess  = "secretAccessKey"

	// refEncryptionKeys is the key of the Secret that kubectl commerce backup-key writes.
	refEncryptionKeys = desired.KeyEncryptionKeys
	// refRestore begins the fields that are read until the restore is done.
	refRestore = "restore."
)

// references are all Secrets that a spec names.
func references(spec *v1alpha1.CommerceStackSpec) []reference {
	var all []reference
	add := func(field string, ref *v1alpha1.SecretRef, keys ...string) {
		if ref != nil {
			all = append(all, reference{field, ref.Name, keys})
		}
	}
	if external := spec.Postgres.External; external != nil {
		add("postgres.external.secretRef", &external.SecretRef, refURL)
	}
	if external := spec.Redis.External; external != nil {
		add("redis.external.secretRef", &external.SecretRef, refURL)
	}
	if s3 := spec.ObjectStorage.S3; s3 != nil {
		add("objectStorage.s3.secretRef", s3.SecretRef, refAccessKey, refSecretAccess)
	}
	if nats := spec.Events.NATS; nats != nil {
		add("events.nats.secretRef", &nats.SecretRef, refURL)
	}
	if backup := spec.Backup; backup != nil && backup.Destination != nil {
		add("backup.destination.secretRef", backup.Destination.SecretRef, refAccessKey, refSecretAccess)
	}
	if restore := spec.Restore; restore != nil {
		if restore.From.Destination != nil {
			add(refRestore+"from.destination.secretRef", restore.From.Destination.SecretRef, refAccessKey, refSecretAccess)
		}
		add(refRestore+"keySecretRef", restore.KeySecretRef, refEncryptionKeys)
	}
	add("gateway.tls.secretRef", spec.Gateway.TLS.SecretRef, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	if integrations := spec.Integrations; integrations != nil {
		if integrations.Stripe != nil {
			add("integrations.stripe.secretRef", &integrations.Stripe.SecretRef, refSecretKey, refWebhookSecret)
		}
		if integrations.SendGrid != nil {
			add("integrations.sendGrid.secretRef", &integrations.SendGrid.SecretRef, refAPIKey)
		}
		if integrations.SMTP != nil {
			add("integrations.smtp.secretRef", integrations.SMTP.SecretRef, refUsername, refPassword)
		}
	}
	return all
}

// preflight refuses what cannot work, before anything is changed.
func (v *visit) preflight(ctx context.Context) Result {
	if v.in.RenderRevision > desired.CurrentRenderRevision {
		return stalledStop("NotSupported", "spec.renderRevision %d is newer than this operator, which knows up to %d: upgrade the operator or lower it",
			v.in.RenderRevision, desired.CurrentRenderRevision)
	}
	if v.stack.Spec.Rollout.Strategy == v1alpha1.RolloutCanary && !desired.ReadsRoutes(v.in) {
		return stalledStop("NotSupported", "spec.rollout.strategy: Canary needs a gateway that reads a routing table: set spec.renderRevision to %d, "+
			"which replaces every pod of the gateway once, or use RollingUpdate", desired.CurrentRenderRevision)
	}
	if v.in.PostgresMode == v1alpha1.DataManaged && !v.in.Capabilities.CloudNativePG {
		return stalledStop("CloudNativePGMissing", "postgres.mode is Managed, but the cluster has no CloudNativePG (clusters.postgresql.cnpg.io): install it")
	}
	if v.stack.Spec.Secrets.Source == v1alpha1.SecretsExternal && !v.in.Capabilities.ExternalSecrets {
		return stalledStop("ExternalSecretsMissing", "spec.secrets.source is ExternalSecret, but the cluster has no ExternalSecret "+
			"(externalsecrets.external-secrets.io, v1): install External Secrets Operator, or use Generated")
	}
	if result := v.readReferences(ctx); result.Err != nil {
		return result
	}
	if result := v.readPorts(); result.Err != nil {
		return result
	}
	if invalid := desired.Validate(v.in); len(invalid) > 0 {
		return stalledStop("InvalidSpec", "%s", invalid.ToAggregate().Error())
	}
	return Result{}
}

// readReferences reads the Secrets that the spec names past the cache, which does
// not hold them.
func (v *visit) readReferences(ctx context.Context) Result {
	for _, ref := range references(&v.stack.Spec) {
		if strings.HasPrefix(ref.field, refRestore) && !v.restoreDue() {
			continue // it was needed once
		}
		secret := &corev1.Secret{}
		err := v.Live.Get(ctx, client.ObjectKey{Namespace: v.stack.Namespace, Name: ref.name}, secret)
		if missing(err) {
			return stalledStop("SecretMissing", "spec.%s: there is no Secret %q in namespace %s: create it with %s",
				ref.field, ref.name, v.stack.Namespace, keyList(ref.keys))
		}
		if err != nil {
			return Result{Err: fmt.Errorf("read Secret %s: %w", ref.name, err), Stop: true}
		}
		for _, key := range ref.keys {
			if len(secret.Data[key]) == 0 {
				return stalledStop("SecretIncomplete", "spec.%s: Secret %q has no key %q: add it", ref.field, ref.name, key)
			}
		}
		v.references[ref.name] = secret.Data
	}
	return Result{}
}

func keyList(keys []string) string {
	if len(keys) == 1 {
		return "the key " + keys[0]
	}
	return "the keys " + strings.Join(keys, " and ")
}

// readPorts checks the addresses in those Secrets and takes their ports. A
// message never holds the address: there is a password in it.
func (v *visit) readPorts() Result {
	spec := &v.stack.Spec
	for _, server := range []struct {
		ref     *v1alpha1.SecretRef
		schemes []string
		port    *int32
	}{
		{externalPostgres(spec), []string{"postgres", "postgresql"}, &v.in.External.Postgres},
		{externalRedis(spec), []string{"redis", "rediss"}, &v.in.External.Redis},
		{externalNATS(spec), []string{"nats", "tls"}, &v.in.External.NATS},
	} {
		if server.ref == nil {
			continue
		}
		address, err := url.Parse(strings.TrimSpace(string(v.references[server.ref.Name][refURL])))
		if err != nil || address.Hostname() == "" || !slices.Contains(server.schemes, address.Scheme) {
			return stalledStop("SecretInvalid", "Secret %q: the value of url is not an address that begins with %s://", server.ref.Name, server.schemes[0])
		}
		if text := address.Port(); text != "" {
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil || port == 0 {
				return stalledStop("SecretInvalid", "Secret %q: the port in url is not one", server.ref.Name)
			}
			*server.port = int32(port)
		}
	}
	return Result{}
}

func externalPostgres(spec *v1alpha1.CommerceStackSpec) *v1alpha1.SecretRef {
	if spec.Postgres.External == nil {
		return nil
	}
	return &spec.Postgres.External.SecretRef
}

func externalRedis(spec *v1alpha1.CommerceStackSpec) *v1alpha1.SecretRef {
	if spec.Redis.External == nil {
		return nil
	}
	return &spec.Redis.External.SecretRef
}

func externalNATS(spec *v1alpha1.CommerceStackSpec) *v1alpha1.SecretRef {
	if spec.Events.NATS == nil {
		return nil
	}
	return &spec.Events.NATS.SecretRef
}
