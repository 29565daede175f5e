package plugin

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// The states of status.secrets, as the tree judges them.
const (
	secretCurrent = "Current"
	secretFailed  = "Failed"
)

// secrets are the generated secrets with their age and end, never a value.
func (r reporter) secrets() node {
	group := node{Kind: "secrets", State: stateOK, folded: true}
	if len(r.stack.Status.Secrets) == 0 {
		group.State, group.Text = stateInfo, "none reported yet"
		return group
	}
	for _, s := range r.stack.Status.Secrets {
		group = group.with(r.secret(s))
	}
	if group.State == stateOK {
		group.Text = "all current"
	}
	return group
}

func (r reporter) secret(s v1alpha1.SecretStatus) node {
	n := node{Name: s.Name, State: stateBusy, Text: s.State}
	if s.State == secretCurrent {
		n.State = stateOK
	}
	if s.NextID != "" && s.NextID != s.ActiveID {
		n.Text += " from " + cmp.Or(s.ActiveID, "nothing") + " to " + s.NextID
	}
	if at, ok := moment(s.RotatedAt); ok {
		n.Text += ", in use since " + at.UTC().Format(time.DateOnly) + " (" + ago(at, r.now) + ")"
	}
	if at, ok := moment(s.ExpiresAt); ok {
		if at.Before(r.now) {
			n.State = stateBad
			n.Text += ", overdue since " + due(at, r.now)
		} else {
			n.Text += ", until " + due(at, r.now)
		}
	}
	if s.State == secretFailed || s.LastError != "" {
		n.State, n.Text = stateBad, sentence(n.Text, s.LastError)
	}
	return n
}

// certs are the certificates of the stack with their dates.
func (r reporter) certs() node {
	group := node{Kind: "certificates", State: stateOK, folded: true}
	if len(r.certificates) == 0 {
		group.State, group.Text = stateInfo, "none found"
		return group
	}
	first := time.Time{}
	sorted := slices.SortedFunc(slices.Values(r.certificates), func(a, b corev1.Secret) int { return cmp.Compare(a.Name, b.Name) })
	for _, secret := range sorted {
		part, end := r.cert(secret)
		if first.IsZero() || (!end.IsZero() && end.Before(first)) {
			first = end
		}
		group = group.with(part)
	}
	if !first.IsZero() {
		group.Text = "the first ends " + due(first, r.now)
	}
	return group
}

func (r reporter) cert(secret corev1.Secret) (node, time.Time) {
	n := node{Kind: "Secret", Name: secret.Name, State: stateOK}
	leaf, err := leafOf(secret)
	if err != nil {
		n.State, n.Text = stateBad, err.Error()
		return n, time.Time{}
	}
	switch {
	case r.now.After(leaf.NotAfter):
		n.State, n.Text = stateBad, "ended "+due(leaf.NotAfter, r.now)
	case r.now.Before(leaf.NotBefore):
		n.State, n.Text = stateBad, "not valid before "+due(leaf.NotBefore, r.now)
	default:
		n.Text = "valid until " + due(leaf.NotAfter, r.now)
	}
	return n, leaf.NotAfter
}

// leafOf is the first certificate of a kubernetes.io/tls Secret.
func leafOf(secret corev1.Secret) (*x509.Certificate, error) {
	block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
	if block == nil {
		return nil, errors.New("tls.crt holds no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}
