package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// Request is what a leaf certificate must be.
type Request struct {
	// Name is the certificate's common name.
	Name string
	// DNSNames it is valid for. IP addresses are recognised.
	DNSNames []string
	// RenewBefore is how long before its end it is replaced.
	RenewBefore time.Duration
}

// Leaf is a certificate's state.
type Leaf struct {
	// ID is the serial number.
	ID string
	// NotBefore and NotAfter bound its life.
	NotBefore, NotAfter time.Time
	// RenewAt is when it is replaced.
	RenewAt time.Time
}

// Ensure returns the data of a leaf's Secret at the time now: the old data if it
// is good, the old certificate with a newer bundle if only trust changed, else a
// new certificate and why.
func (a *Authority) Ensure(old map[string][]byte, want Request, now time.Time) (data map[string][]byte, leaf Leaf, reason string, err error) {
	cert, reason := a.judge(old, want, now)
	if reason != "" {
		data, cert, err = a.issue(want, now)
		if err != nil {
			return nil, Leaf{}, "", err
		}
	} else {
		data = maps.Clone(old)
		data[BundleKey] = a.Bundle()
	}
	return data, Leaf{
		ID: cert.SerialNumber.Text(16), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, RenewAt: cert.NotAfter.Add(-want.renewBefore()),
	}, reason, nil
}

// renewBefore is at least a day and at most half a life, whatever was asked.
func (r Request) renewBefore() time.Duration {
	return min(max(r.RenewBefore, 24*time.Hour), LeafLifetime/2)
}

// judge returns the certificate in the data, or why it must be replaced.
func (a *Authority) judge(old map[string][]byte, want Request, now time.Time) (cert *x509.Certificate, reason string) {
	if len(old[CertKey]) == 0 {
		return nil, "there was none"
	}
	cert, reason = a.prove(old[CertKey], old[PrivateKey])
	switch {
	case reason != "":
		return nil, reason
	case !now.Before(cert.NotAfter.Add(-want.renewBefore())):
		return nil, "its end is near"
	case now.Before(cert.NotBefore):
		return nil, "it is not valid yet"
	case !slices.Equal(names(cert), sorted(want.DNSNames)):
		return nil, "its names changed"
	}
	return cert, ""
}

// proofs are the certificates that were found to fit their keys and to be of their
// authorities. To find that out costs far more than to know them again.
var proofs = proven{known: map[[sha256.Size]byte]struct{}{}}

// memory bounds how many are known.
const memory = 1 << 15

// proven remembers certificates by the digest of themselves, their keys and their authorities.
type proven struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]struct{}
}

func (p *proven) has(sum [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.known[sum]
	return ok
}

func (p *proven) add(sum [sha256.Size]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= memory {
		clear(p.known)
	}
	p.known[sum] = struct{}{}
}

// prove returns a certificate that fits its key and is of the authority, or why it is not.
func (a *Authority) prove(certPEM, keyPEM []byte) (cert *x509.Certificate, reason string) {
	parts := [3][sha256.Size]byte{sha256.Sum256(a.active.certPEM), sha256.Sum256(certPEM), sha256.Sum256(keyPEM)}
	sum := sha256.Sum256(slices.Concat(parts[0][:], parts[1][:], parts[2][:]))
	if proofs.has(sum) {
		if cert, err := parseCert(certPEM); err == nil {
			return cert, ""
		}
	}
	pair, err := parseSigner(certPEM, keyPEM)
	if err != nil {
		return nil, "it could not be read"
	}
	if pair.cert.CheckSignatureFrom(a.active.cert) != nil {
		return nil, "the authority changed"
	}
	proofs.add(sum)
	return pair.cert, ""
}

func names(cert *x509.Certificate) []string {
	all := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	return sorted(all)
}

func sorted(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *Authority) issue(want Request, now time.Time) (map[string][]byte, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: want.Name, Organization: []string{"CommerceStack"}},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(LeafLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if template.NotAfter.After(a.active.cert.NotAfter) {
		template.NotAfter = a.active.cert.NotAfter
	}
	for _, name := range sorted(want.DNSNames) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.active.cert, key.Public(), a.active.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign a certificate for %s: %w", want.Name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, nil, err
	}
	return map[string][]byte{CertKey: certPEM, PrivateKey: keyPEM, BundleKey: a.Bundle()}, cert, nil
}

// Equal says whether two Secrets' data are the same.
func Equal(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
