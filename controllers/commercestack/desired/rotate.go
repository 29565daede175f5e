package desired

import (
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// SigningKeyVariable asks auth for a new key of tokens by the id of the request.
const SigningKeyVariable = "COMMERCE_AUTH_SIGNING_KEY_REQUEST"

// AnnotationRotation on a Job is the machine's name of the run.
const AnnotationRotation = v1alpha1.Group + "/rotation"

// The verbs of a rotation's Jobs, as in their names.
const (
	VerbSetLogin         = "set-login"
	VerbRetireLogin      = "retire-login"
	VerbCacheSetLogin    = "cache-set-login"
	VerbCacheRetireLogin = "cache-retire-login"
	VerbRewrite          = "rewrite"
)

const (
	// rotationTries leaves further ones to the rotation, which waits longer each time.
	rotationTries    int32 = 1
	rotationDeadline int64 = 600
	// rewriteDeadline is for every sealed field of a shop.
	rewriteDeadline int64 = 6 * 3600
	rewriteTimeout        = "350m"
	rotationTimeout       = "2m"
)

// Rotation is a run of a verb.
type Rotation struct {
	// Verb says what it does.
	Verb string
	// ID is the machine's name of the run.
	ID string
	// Component whose login it is about.
	Component v1alpha1.ComponentName
	// Role or user to retire.
	Role string
	// Secret of this run alone, with RotationSecretKeys.
	Secret string
}

// RotationJobName is the name of the Job of a run.
func RotationJobName(stack, verb, id string) string { return ObjectName(stack, verb) + "-" + Hash(id) }

// RotationJob carries out a run. Its name says which, so it is made once.
func RotationJob(in Input, r Rotation) *batchv1ac.JobApplyConfiguration {
	t := task{name: r.Verb, secret: r.Secret, deadline: rotationDeadline}
	kind := JobRotate
	switch r.Verb {
	case VerbSetLogin, VerbRetireLogin:
		t.args = []string{"database", r.Verb}
		t.env.set("COMMERCE_COMPONENT", string(r.Component))
		t.env.setUnlessEmpty("COMMERCE_DATABASE_ROLE", r.Role)
		t.env.set("COMMERCE_TIMEOUT", rotationTimeout)
	case VerbCacheSetLogin, VerbCacheRetireLogin:
		kind = JobRotateCache
		t.args = []string{"cache", map[string]string{VerbCacheSetLogin: VerbSetLogin, VerbCacheRetireLogin: VerbRetireLogin}[r.Verb]}
		t.env.set("COMMERCE_TLS_CA_FILE", CAFile)
		t.env.setUnlessEmpty("COMMERCE_REDIS_USER", r.Role)
		t.env.set("COMMERCE_TIMEOUT", rotationTimeout)
	case VerbRewrite:
		t.args, t.deadline = []string{"encryption", "rewrite"}, rewriteDeadline
		t.env.set("COMMERCE_REWRITE_TIMEOUT", rewriteTimeout)
	}
	t.env.files(rotationFiles(r.Verb, r.Component))
	return t.named(in, RotationJobName(in.Stack.Name, r.Verb, r.ID), kind).
		WithAnnotations(map[string]string{AnnotationRotation: r.ID}).
		WithSpec(t.spec(in, PlatformImage(in, ""), kind, rotationTries))
}

// rotationFiles are the secrets that a verb needs.
func rotationFiles(verb string, component v1alpha1.ComponentName) []secretFile {
	switch verb {
	case VerbSetLogin, VerbRetireLogin:
		// Retiring is told the login in use, so that it never closes that.
		return []secretFile{{"COMMERCE_DATABASE_ADMIN_URL_FILE", KeyDatabaseAdminURL}, {databaseVariable(component), KeyDatabaseURL}}
	case VerbCacheSetLogin:
		return []secretFile{{"COMMERCE_REDIS_ADMIN_URL_FILE", KeyRedisAdminURL}, {"COMMERCE_REDIS_URL_FILE", KeyRedisURL}}
	case VerbCacheRetireLogin:
		return []secretFile{{"COMMERCE_REDIS_ADMIN_URL_FILE", KeyRedisAdminURL}}
	case VerbRewrite:
		files := []secretFile{{"COMMERCE_ENCRYPTION_KEYS_FILE", KeyEncryptionKeys}}
		for _, name := range DataComponents() {
			files = append(files, secretFile{databaseVariable(name), DatabaseURLKey(name)})
		}
		return files
	default:
		return nil
	}
}

// RotationSecretKeys are the keys of the Secret of a verb's Job, sorted.
func RotationSecretKeys(verb string) []string { return keysOf(rotationFiles(verb, "")) }
