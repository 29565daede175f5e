package conversion

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/pki"
)

// The keys of the certificate in the Secret, beside those of the authority.
const (
	servingCertKey    = "serving.crt"
	servingPrivateKey = "serving.key"
)

// renewBefore is how long before its end the certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// writes is how often a replica tries that others are quicker than.
const writes = 5

// material returns the content of the Secret, with an authority and a certificate
// that are good now. What must change is stored first.
func (s *Server) material(ctx context.Context) (map[string][]byte, error) {
	for range writes {
		data, err := s.tryMaterial(ctx)
		switch {
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
			continue // another replica was quicker
		case err != nil:
			return nil, err
		}
		s.known = data
		return data, nil
	}
	return nil, fmt.Errorf("store Secret %s/%s: it changes all the time", s.config.Namespace, s.config.Service)
}

func (s *Server) tryMaterial(ctx context.Context) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.config.Namespace, Name: s.config.Service}, secret)
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return nil, fmt.Errorf("read Secret %s/%s: %w", s.config.Namespace, s.config.Service, err)
	}
	before := secret.Data
	if gone {
		before = s.known
	}
	data, reasons, err := s.good(before)
	if err != nil {
		return nil, err
	}
	if !gone && pki.Equal(data, secret.Data) {
		return data, nil
	}
	secret.Data = data
	if gone {
		secret.ObjectMeta = metav1.ObjectMeta{
			Namespace: s.config.Namespace, Name: s.config.Service,
			Labels: map[string]string{desired.LabelManagedBy: desired.ManagedBy, desired.LabelPartOf: desired.AppName},
		}
		err = s.client.Create(ctx, secret)
	} else {
		err = s.client.Update(ctx, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("store the webhook's certificate: %w", err)
	}
	s.config.Logger.InfoContext(ctx, "the webhook's certificate was stored", slog.Any("why", reasons))
	return data, nil
}

// good takes the steps that are due, and says which.
func (s *Server) good(before map[string][]byte) (data map[string][]byte, reasons []string, err error) {
	now := s.config.Clock.Now()
	authority, err := pki.ParseAuthority(before)
	if err != nil {
		return nil, nil, fmt.Errorf("read Secret %s/%s: %w: restore it, or delete it to have a new one made", s.config.Namespace, s.config.Service, err)
	}
	step, err := authority.Advance(now, s.config.Service)
	if err != nil {
		return nil, nil, err
	}
	name := s.config.Service + "." + s.config.Namespace + ".svc"
	leaf, _, reason, err := authority.Ensure(
		map[string][]byte{pki.CertKey: before[servingCertKey], pki.PrivateKey: before[servingPrivateKey]},
		pki.Request{Name: name, DNSNames: []string{name}, RenewBefore: renewBefore}, now,
	)
	if err != nil {
		return nil, nil, err
	}
	data = authority.Data()
	data[servingCertKey], data[servingPrivateKey] = leaf[pki.CertKey], leaf[pki.PrivateKey]
	if step != pki.StepNone {
		reasons = append(reasons, "authority: "+string(step))
	}
	if reason != "" {
		reasons = append(reasons, "certificate: "+reason)
	}
	return data, reasons, nil
}
