package commercestack

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/pki"
)

// The states of secrets and certificates.
const (
	secretCurrent    = "Current"
	secretPublishing = "Publishing"
)

// The names of certificates in status.secrets: authoritySecret, and the part with
// leafSuffix.
const (
	authoritySecret = "ca"
	leafSuffix      = "-tls"
)

// annotationAnswered on a Secret of a certificate is the last request to replace
// it that was carried out.
const annotationAnswered = v1alpha1.AnnotationRotate

// certificates keeps the stack's authority and every certificate it signs.
func (v *visit) certificates(ctx context.Context) Result {
	authority, result := v.authority(ctx)
	if authority == nil {
		return result
	}
	var outcome Outcome
	outcome.Add("authority", result)
	parts := v.certified()
	for _, part := range parts {
		outcome.Add(part, v.certificate(ctx, authority, part))
	}
	v.forgetSecrets(parts)
	if err := outcome.Err(); err != nil {
		v.certificatesFailed = true
		v.set(v1alpha1.ConditionSecretsCurrent, metav1.ConditionFalse, reasonFailed, err.Error())
		return failed(err)
	}
	return after(outcome.requeue)
}

// certified are the parts that need a certificate.
func (v *visit) certified() []string {
	var parts []string
	for _, component := range desired.Components() {
		parts = append(parts, string(component))
	}
	if v.in.PostgresMode != v1alpha1.DataExternal {
		parts = append(parts, desired.NamePostgres)
	}
	if v.stack.Spec.Redis.Mode != v1alpha1.DataExternal {
		parts = append(parts, desired.NameRedis)
	}
	if desired.Simulated(v.in) {
		parts = append(parts, desired.NameSimulator)
	}
	return parts
}

// authority reads the authority and takes its steps. Nil means that there is
// none in this visit.
func (v *visit) authority(ctx context.Context) (*pki.Authority, Result) {
	name := desired.CAName(v.stack.Name)
	secret, err := v.secret(ctx, name)
	if err != nil {
		return nil, failed(err)
	}
	authority, err := pki.ParseAuthority(secret.Data)
	if err != nil {
		return nil, stalled("AuthorityBroken", "Secret %s cannot be read (%v): restore it, or delete it to have a new one made", name, err)
	}
	owner := v.stack.Name + "." + v.stack.Namespace
	advance := authority.Advance
	if v.answers(secret, authoritySecret) {
		advance = authority.Introduce
	}
	step, err := advance(v.now, owner)
	if err != nil {
		return nil, failed(err)
	}
	if stored, err := v.storeSecret(ctx, secret, corev1.SecretTypeTLS, authority.Data(), "ca"); err != nil {
		return nil, failed(err)
	} else if stored && step != pki.StepNone {
		v.tellf("RotatedAuthority", "RotateCertificate", "The stack's certificate authority: %s.", strings.ToLower(string(step)))
	}
	state := secretCurrent
	if authority.Publishing() {
		state = secretPublishing
	}
	next := authority.NextStep()
	v.noteCertificate(authoritySecret, state, authority.ID(), authority.NotBefore(), authority.NotAfter(), next)
	if step != pki.StepNone && !next.After(v.now) {
		next = v.now.Add(time.Second)
	}
	return authority, v.wakeAt(next)
}

// certificate keeps one leaf.
func (v *visit) certificate(ctx context.Context, authority *pki.Authority, part string) Result {
	secret, err := v.secret(ctx, desired.TLSName(v.stack.Name, part))
	if err != nil {
		return failed(err)
	}
	names := v.certificateNames(part)
	want := pki.Request{Name: names[0], DNSNames: names, RenewBefore: v.stack.Spec.Secrets.RenewBefore.Duration}
	old, asked := secret.Data, v.answers(secret, part+leafSuffix)
	if asked {
		old = nil // as if there were none
	}
	data, leaf, reason, err := authority.Ensure(old, want, v.now)
	if err != nil {
		return failed(err)
	}
	if asked {
		reason = "somebody asked for it"
	}
	stored, err := v.storeSecret(ctx, secret, corev1.SecretTypeTLS, data, part)
	if err != nil {
		return failed(err)
	}
	if stored && reason != "" {
		v.tellf("RotatedCertificate", "RotateCertificate", "The certificate of %s was replaced: %s.", part, reason)
	}
	if part == desired.NameRedis {
		v.in.RedisCertificate = leaf.ID
	}
	v.noteCertificate(part+leafSuffix, secretCurrent, leaf.ID, leaf.NotBefore, leaf.NotAfter, leaf.RenewAt)
	return v.wakeAt(leaf.RenewAt)
}

// answers says whether a request asks for a certificate that exists, and notes at
// its Secret that it is carried out: both are written at once, so it is done once.
func (v *visit) answers(secret *corev1.Secret, name string) bool {
	request := v.rotationRequest()
	if v.pass.Dry() || request.Secret != name || secret.ResourceVersion == "" || secret.Annotations[annotationAnswered] == request.ID {
		return false
	}
	secret.Annotations = merge(secret.Annotations, map[string]string{annotationAnswered: request.ID})
	v.answering = secret.Name
	return true
}

// certificateNames adds the names under a cluster domain that is not the usual one.
func (v *visit) certificateNames(part string) []string {
	names := desired.CertificateNames(v.in, part)
	for _, name := range slices.Clone(names) {
		if full := name + "." + v.ClusterDomain; strings.HasSuffix(name, ".svc") && !slices.Contains(names, full) {
			names = append(names, full)
		}
	}
	return names
}

// noteCertificate puts a certificate into the status.
func (v *visit) noteCertificate(name, state, id string, from, until, next time.Time) {
	rotated, expires, due := metav1.NewTime(from), metav1.NewTime(until), metav1.NewTime(next.Truncate(timeUnit))
	v.noteEntry(v1alpha1.SecretStatus{
		Name: name, State: state, ActiveID: id, RotatedAt: &rotated, ExpiresAt: &expires, NextRotationAt: &due,
	})
}

// noteEntry puts a secret or certificate into the status.
func (v *visit) noteEntry(entry v1alpha1.SecretStatus) {
	for i := range v.status.Secrets {
		if v.status.Secrets[i].Name == entry.Name {
			v.status.Secrets[i] = entry
			return
		}
	}
	v.status.Secrets = append(v.status.Secrets, entry)
}

// forgetSecrets drops certificates of parts that the stack no longer has.
func (v *visit) forgetSecrets(parts []string) {
	v.status.Secrets = slices.DeleteFunc(v.status.Secrets, func(s v1alpha1.SecretStatus) bool {
		part, isLeaf := strings.CutSuffix(s.Name, leafSuffix)
		return isLeaf && !slices.Contains(parts, part)
	})
}
