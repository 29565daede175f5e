package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

const (
	// AuthorityLifetime is how long an authority is valid.
	AuthorityLifetime = 365 * 24 * time.Hour
	// LeafLifetime is how long a leaf certificate is valid.
	LeafLifetime = 90 * 24 * time.Hour
	// PublishLead is how long a new authority is trusted before it signs: far
	// longer than kubelets need to bring a changed Secret to every pod.
	PublishLead = 24 * time.Hour
	// clockSkew is how far behind a clock may be that checks a fresh certificate.
	clockSkew = 10 * time.Minute
)

// The keys of an authority's Secret.
const (
	CertKey         = "tls.crt"
	PrivateKey      = "tls.key"
	BundleKey       = "ca.crt"
	nextCertKey     = "next.crt"
	nextPrivateKey  = "next.key"
	previousCertKey = "previous.crt"
	switchedAtKey   = "switched-at"
)

// Step is what Advance did.
type Step string

// The steps of an authority's life.
const (
	StepNone      Step = ""
	StepCreated   Step = "Created"
	StepPublished Step = "Published"
	StepSwitched  Step = "Switched"
	StepForgot    Step = "Forgot"
)

// signer is a certificate with its key.
type signer struct {
	cert    *x509.Certificate
	certPEM []byte
	key     *ecdsa.PrivateKey
	keyPEM  []byte
}

// Authority is the state of a stack's certificate authority.
type Authority struct {
	active     *signer
	next       *signer
	previous   []byte // PEM
	switchedAt time.Time
}

// ParseAuthority reads the state from a Secret's data. No data is an authority
// that Advance creates.
func ParseAuthority(data map[string][]byte) (*Authority, error) {
	authority := &Authority{previous: data[previousCertKey]}
	var err error
	if len(authority.previous) > 0 {
		if authority.switchedAt, err = time.Parse(time.RFC3339, string(data[switchedAtKey])); err != nil {
			return nil, fmt.Errorf("certificate authority: %s is not a time", switchedAtKey)
		}
	}
	if len(data[CertKey]) > 0 {
		if authority.active, err = parseSigner(data[CertKey], data[PrivateKey]); err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
	}
	if len(data[nextCertKey]) > 0 {
		if authority.next, err = parseSigner(data[nextCertKey], data[nextPrivateKey]); err != nil {
			return nil, fmt.Errorf("next certificate authority: %w", err)
		}
	}
	return authority, nil
}

// Data is the state as a Secret's data.
func (a *Authority) Data() map[string][]byte {
	data := map[string][]byte{BundleKey: a.Bundle()}
	if a.active != nil {
		data[CertKey], data[PrivateKey] = a.active.certPEM, a.active.keyPEM
	}
	if a.next != nil {
		data[nextCertKey], data[nextPrivateKey] = a.next.certPEM, a.next.keyPEM
	}
	if len(a.previous) > 0 {
		data[previousCertKey] = a.previous
		data[switchedAtKey] = []byte(a.switchedAt.UTC().Format(time.RFC3339))
	}
	return data
}

// Bundle is every certificate to trust, in PEM.
func (a *Authority) Bundle() []byte {
	var out bytes.Buffer
	if a.active != nil {
		out.Write(a.active.certPEM)
	}
	if a.next != nil {
		out.Write(a.next.certPEM)
	}
	out.Write(a.previous)
	return out.Bytes()
}

// ID names the signing certificate: its serial number.
func (a *Authority) ID() string { return a.active.cert.SerialNumber.Text(16) }

// Publishing says whether a next authority is trusted that does not sign yet.
func (a *Authority) Publishing() bool { return a.next != nil }

// NotBefore is when the signing certificate came into being.
func (a *Authority) NotBefore() time.Time { return a.active.cert.NotBefore }

// NotAfter is when the signing certificate ends.
func (a *Authority) NotAfter() time.Time { return a.active.cert.NotAfter }

// Advance takes at most one step at the time now and says which. The caller
// stores Data before it uses the authority.
func (a *Authority) Advance(now time.Time, name string) (Step, error) {
	var err error
	switch {
	case a.next != nil && !now.Before(a.switchAt()):
		a.previous, a.switchedAt = a.active.certPEM, now
		a.active, a.next = a.next, nil
		return StepSwitched, nil
	case a.active == nil || !now.Before(a.active.cert.NotAfter):
		// Nothing valid is left (first visit, or an operator that slept for a
		// year): there is nobody whose trust could be kept.
		a.next, a.previous = nil, nil
		a.active, err = newSigner(now, name)
		return StepCreated, err
	case a.next == nil && !now.Before(a.publishAt()):
		a.next, err = newSigner(now, name)
		return StepPublished, err
	case len(a.previous) > 0 && !now.Before(a.forgetAt()):
		a.previous = nil
		return StepForgot, nil
	}
	return StepNone, nil
}

// Introduce publishes a next authority before its time, unless one is published
// already. Otherwise it is Advance.
func (a *Authority) Introduce(now time.Time, name string) (step Step, err error) {
	if step, err = a.Advance(now, name); err != nil || step != StepNone || a.next != nil {
		return step, err
	}
	if a.next, err = newSigner(now, name); err != nil {
		return StepNone, err
	}
	return StepPublished, nil
}

// NextStep is when Advance has something to do again.
func (a *Authority) NextStep() time.Time {
	next := a.publishAt()
	if a.next != nil {
		next = a.switchAt()
	}
	if len(a.previous) > 0 && a.forgetAt().Before(next) {
		next = a.forgetAt()
	}
	return next
}

// publishAt leaves room for the lead and for one whole life of a leaf.
func (a *Authority) publishAt() time.Time {
	return a.active.cert.NotAfter.Add(-LeafLifetime - 2*PublishLead)
}

func (a *Authority) switchAt() time.Time { return a.next.cert.NotBefore.Add(clockSkew + PublishLead) }

// forgetAt leaves pods twice the lead to take up their new leaf certificates.
func (a *Authority) forgetAt() time.Time { return a.switchedAt.Add(2 * PublishLead) }

func newSigner(now time.Time, name string) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"CommerceStack"}},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(AuthorityLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority's certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return parseSigner(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM)
}

func serial() *big.Int {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails: crypto/rand aborts the program instead
	raw[0] &= 0x7f
	return new(big.Int).SetBytes(raw)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseSigner(certPEM, keyPEM []byte) (*signer, error) {
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, fmt.Errorf("the key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the key cannot be read") // the cause could quote it
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("the key is not the certificate's")
	}
	return &signer{cert: cert, certPEM: certPEM, key: key, keyPEM: keyPEM}, nil
}

func parseCert(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("the certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return cert, nil
}
