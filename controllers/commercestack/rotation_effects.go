package commercestack

import (
	"cmp"
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// carryOut does what is not done by storing the states and by publishing what
// they say.
func (v *visit) carryOut(ctx context.Context, effect rotation.Effect) error {
	switch effect.Kind {
	case rotation.EffectRunJob:
		return v.runJob(ctx, effect)
	case rotation.EffectStopJob:
		return v.stopJob(ctx, effect)
	case rotation.EffectGenerate, rotation.EffectAdopt, rotation.EffectErase, rotation.EffectArchive, rotation.EffectPublish:
	}
	return nil
}

// verb is what a Job of the program is called.
func verb(effect rotation.Effect) string {
	cache := effect.Secret == vault.NameRedis
	switch {
	case effect.Job.Verb == rotation.VerbRewrite:
		return desired.VerbRewrite
	case effect.Job.Verb == rotation.VerbSetLogin && cache:
		return desired.VerbCacheSetLogin
	case effect.Job.Verb == rotation.VerbSetLogin:
		return desired.VerbSetLogin
	case cache:
		return desired.VerbCacheRetireLogin
	default:
		return desired.VerbRetireLogin
	}
}

// runJob makes sure of a Job and of the Secret that it alone reads.
func (v *visit) runJob(ctx context.Context, effect rotation.Effect) error {
	run := desired.Rotation{Verb: verb(effect), ID: effect.Job.ID, Component: v1alpha1.ComponentName(vault.LoginComponent(effect.Secret))}
	version := effect.Job.Version
	switch run.Verb {
	case desired.VerbSetLogin, desired.VerbCacheSetLogin:
		v.supposed = map[string]rotation.Content{effect.Secret: {Use: version}}
	case desired.VerbRetireLogin:
		run.Role = databaseRole(string(run.Component), version)
	case desired.VerbCacheRetireLogin:
		run.Role = desired.RedisUser(version.Slot())
	}
	data, err := v.secretData(cmp.Or(string(run.Component), run.Verb), desired.RotationSecretKeys(run.Verb))
	v.supposed = nil
	if err != nil {
		return err
	}
	if run.Secret, err = v.publishData(ctx, run.Verb, data, corev1.SecretTypeOpaque); err != nil {
		return err
	}
	if err := v.pass.Apply(ctx, desired.JobServiceAccount(v.in)); err != nil {
		return err
	}
	return v.pass.Once(ctx, desired.RotationJob(v.asItServes(), run))
}

// asItServes is the input with the version that serves: a new one may not be
// approved, or not be there.
func (v *visit) asItServes() desired.Input {
	in := v.in
	in.Stack = v.stack.DeepCopy()
	in.Stack.Spec.Version = cmp.Or(v.status.Version, v.stack.Spec.Version)
	return in
}

// stopJob deletes a Job; it is there until its pods are gone.
func (v *visit) stopJob(ctx context.Context, effect rotation.Effect) error {
	job := &batchv1.Job{}
	err := v.Live.Get(ctx, v.key(desired.RotationJobName(v.stack.Name, verb(effect), effect.Job.ID)), job)
	if missing(err) || (err == nil && job.DeletionTimestamp != nil) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a Job: %w", err)
	}
	v.pass.Note(apply.Deleted, kindJob.Kind, job.Name)
	err = v.Client.Delete(ctx, job, client.Preconditions{UID: &job.UID}, client.PropagationPolicy(metav1.DeletePropagationForeground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("stop Job %s: %w", job.Name, err)
	}
	return nil
}

// redisUsers keeps the file of users that a restarted Redis reads.
func (v *visit) redisUsers(ctx context.Context) (string, error) {
	name := desired.RedisUsersName(v.stack.Name)
	secret, err := v.secret(ctx, name)
	if err != nil {
		return "", err
	}
	state := v.state(vault.NameRedis)
	var users []desired.RedisLogin
	for _, id := range state.Logins() {
		users = append(users, desired.RedisLogin{Name: desired.RedisUser(id.Slot()), Password: string(v.vault.Value(state, id))})
	}
	file, err := desired.RedisACL(v.vault.RedisPassword(), users)
	if err != nil {
		return "", err
	}
	data := map[string][]byte{desired.KeyRedisUsers: file}
	_, err = v.storeSecret(ctx, secret, corev1.SecretTypeOpaque, data, desired.NameRedis)
	return name, err
}
