package commercestack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
)

// vaultPart labels the vault.
const vaultPart = "vault"

// secrets makes of the vault, and of the Secrets that the spec names, one
// immutable Secret for each reader with only what it reads. A value that changes
// makes a new name, so that Kubernetes' own rolling update brings it to the pods.
func (v *visit) secrets(ctx context.Context) Result {
	if key := v.content(vault.NameSigning).Use; key != firstSigningKey {
		v.in.SigningKeyRequest = string(key)
	}
	v.in.MigrationTarget = v.migrationTarget()
	var outcome Outcome
	publish := func(part string, keys []string) string {
		name, err := v.publish(ctx, part, keys, corev1.SecretTypeOpaque)
		outcome.Add(part, failed(err))
		return name
	}
	for _, component := range desired.Components() {
		v.in.Secrets.Components[component] = publish(string(component), desired.SecretKeys(v.in, component))
	}
	v.in.Secrets.Migrate = publish(desired.JobMigrate, desired.MigrateSecretKeys(v.in))
	v.in.Secrets.CreateAdmin = publish(desired.JobCreateAdmin, desired.CreateAdminSecretKeys(v.in))
	if v.stack.Spec.DemoCatalog {
		v.in.Secrets.Demo = publish(desired.JobDemo, desired.DemoSecretKeys(v.in))
	}
	if desired.BackedUp(v.in) {
		v.in.Secrets.Backup = publish(desired.JobBackup, desired.BackupSecretKeys(desired.BackupStore(&v.stack.Spec)))
	}
	if v.restoreDue() && !desired.Recovered(v.in) {
		v.in.Secrets.Restore = publish(desired.JobRestore, desired.BackupSecretKeys(desired.RestoreStore(&v.stack.Spec)))
	}
	if desired.Simulated(v.in) {
		v.in.Secrets.Simulator = publish(desired.NameSimulator, desired.SimulatorSecretKeys(v.in))
	}
	switch v.in.PostgresMode {
	case v1alpha1.DataStatefulSet:
		v.in.Secrets.Postgres = publish(desired.NamePostgres, []string{desired.KeyPassword})
	case v1alpha1.DataManaged:
		name, err := v.publish(ctx, desired.NamePostgres, []string{desired.KeyUsername, desired.KeyPassword}, corev1.SecretTypeBasicAuth)
		outcome.Add(desired.NamePostgres, failed(err))
		v.in.Secrets.Postgres = name
	case v1alpha1.DataExternal:
	}
	switch {
	case desired.RedisUsers(v.in):
		name, err := v.redisUsers(ctx)
		outcome.Add(desired.NameRedis, failed(err))
		v.in.Secrets.Redis = name
	case v.stack.Spec.Redis.Mode != v1alpha1.DataExternal:
		v.in.Secrets.Redis = publish(desired.NameRedis, []string{desired.KeyRedisConfig})
	}
	outcome.Add("admin login", failed(v.adminLogin(ctx)))
	if err := outcome.Err(); err != nil {
		return Result{Err: err, Stop: true}
	}
	return Result{}
}

// openVault reads the vault, makes it on the first visit, and adds what a newer
// operator wants. It has no owner: it must be there as long as the volumes are.
// It is read past the cache: a copy of a moment ago would publish what a rotation
// has left behind.
func (v *visit) openVault(ctx context.Context) Result {
	name := desired.VaultName(v.stack.Name)
	v.pass.Name(kindSecret, v.stack.Namespace, name)
	v.vaultSecret = &corev1.Secret{}
	var err error
	if err = v.Live.Get(ctx, v.key(name), v.vaultSecret); missing(err) {
		v.vaultSecret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v.stack.Namespace, Name: name}}
	} else if err != nil {
		return Result{Err: fmt.Errorf("read Secret %s: %w", name, err), Stop: true}
	}
	created := v.vaultSecret.ResourceVersion == ""
	if v.states, err = vault.Open(v.vaultSecret.Data).States(); err != nil {
		return v.brokenVault(err)
	}
	wanted := v.wanted()
	v.take(vault.Open(v.vaultSecret.Data), wanted.Secrets)
	if result, waits := v.awaitStore(wanted.Secrets, v.states); waits {
		return result
	}
	data, changed, err := vault.Complete(v.vaultSecret.Data, wanted)
	if errors.Is(err, vault.ErrBroken) {
		return v.brokenVault(err)
	}
	if err != nil {
		return Result{Err: err, Stop: true}
	}
	opened := vault.Open(data)
	if changed {
		if err := v.storeVault(ctx, opened); err != nil {
			return Result{Err: err, Stop: true}
		}
		if v.pass.Dry() && created {
			return Result{Stop: true} // what is made from the vault has no name yet
		}
	}
	v.vault, v.rotatingNow = opened, wanted.Secrets
	if changed {
		if v.states, err = opened.States(); err != nil {
			return Result{Err: err, Stop: true}
		}
	}
	v.in.AdminEmail = opened.AdminEmail()
	return Result{}
}

func (v *visit) brokenVault(err error) Result {
	return stalledStop("VaultBroken", "Secret %s: %v. Restore it from a backup: new values would lose what was sealed with the old ones",
		desired.VaultName(v.stack.Name), err)
}

// storeVault writes the vault. It fails when somebody else has written it since
// it was read.
func (v *visit) storeVault(ctx context.Context, content vault.Vault) error {
	updated := v.vaultSecret.DeepCopy()
	updated.Data = content.Data()
	updated.Labels = merge(updated.Labels, desired.Labels(v.in, vaultPart))
	created := updated.ResourceVersion == ""
	if created {
		updated.Type = corev1.SecretTypeOpaque
	}
	if _, err := v.writeSecret(ctx, updated, created); err != nil {
		return err
	}
	if !v.pass.Dry() {
		v.vault, v.vaultSecret = content, updated
	}
	return nil
}

func (v *visit) wanted() vault.Wanted {
	wanted := vault.Wanted{
		Secrets: v.rotating(), Now: v.now, Since: v.now, AdminEmail: "admin@shop.example", Simulated: desired.Simulated(v.in),
	}
	if made := v.vaultSecret.CreationTimestamp; !made.IsZero() {
		wanted.Since = made.Time
	}
	if host := v.stack.Spec.Gateway.Host; host != "" {
		wanted.AdminEmail = "admin@" + host
	}
	return wanted
}

// publish makes sure of an immutable Secret with the keys and returns its name.
func (v *visit) publish(ctx context.Context, part string, keys []string, kind corev1.SecretType) (string, error) {
	data, err := v.secretData(part, keys)
	if err != nil {
		return "", err
	}
	return v.publishData(ctx, part, data, kind)
}

// secretData is what stands under the keys of the Secret of a part.
func (v *visit) secretData(part string, keys []string) (map[string][]byte, error) {
	data := map[string][]byte{}
	for _, key := range keys {
		value, err := v.value(key, part)
		if err != nil {
			return nil, err
		}
		data[key] = value
		if ca := v.postgresCA(); len(ca) > 0 && (strings.HasPrefix(key, desired.KeyDatabaseURL) || key == desired.KeyDatabaseAdminURL) {
			data[desired.KeyPostgresCA] = ca
		}
		if ca := v.redisCA(); len(ca) > 0 && key == desired.KeyRedisURL {
			data[desired.KeyRedisCA] = ca
		}
	}
	return data, nil
}

// contentName is the name of the Secret of a part with that content.
func (v *visit) contentName(part string, data map[string][]byte) string {
	content := make([]string, 0, 2*len(data))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		content = append(content, key, string(data[key]))
	}
	return desired.ObjectName(v.stack.Name, part) + "-" + desired.Hash(content...)
}

// publishData makes sure of an immutable Secret with that content and returns its name.
func (v *visit) publishData(ctx context.Context, part string, data map[string][]byte, kind corev1.SecretType) (string, error) {
	name := v.contentName(part, data)
	labels := desired.Labels(v.in, part)
	delete(labels, desired.LabelVersion)
	secret := corev1ac.Secret(name, v.stack.Namespace).WithLabels(labels).WithType(kind).WithImmutable(true).WithData(data).WithOwnerReferences(v.owner())
	if err := v.pass.Once(ctx, secret); err != nil {
		return "", fmt.Errorf("publish the secret of %s: %w", part, hide(err))
	}
	return name, nil
}

// adminLogin shows people the first administrator's login.
func (v *visit) adminLogin(ctx context.Context) error {
	labels := desired.Labels(v.in, desired.JobCreateAdmin)
	delete(labels, desired.LabelVersion)
	login := corev1ac.Secret(desired.AdminLoginName(v.stack.Name), v.stack.Namespace).WithLabels(labels).WithOwnerReferences(v.owner()).
		WithType(corev1.SecretTypeBasicAuth).WithData(map[string][]byte{
		corev1.BasicAuthUsernameKey: []byte(v.vault.AdminEmail()), corev1.BasicAuthPasswordKey: []byte(v.vault.AdminPassword()),
	})
	return v.pass.Apply(ctx, login)
}

func (v *visit) owner() *metav1ac.OwnerReferenceApplyConfiguration {
	ref := metav1.NewControllerRef(v.stack, v1alpha1.GroupVersion.WithKind("CommerceStack"))
	return metav1ac.OwnerReference().WithAPIVersion(ref.APIVersion).WithKind(ref.Kind).WithName(ref.Name).WithUID(ref.UID).
		WithController(true).WithBlockOwnerDeletion(true)
}
