package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/pki"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func want() pki.Request {
	return pki.Request{Name: "shop-order", DNSNames: []string{"shop-order", "shop-order.ns.svc", "127.0.0.1"}, RenewBefore: 7 * 24 * time.Hour}
}

// verify checks a leaf as a peer does that trusts bundle.
func verify(t interface{ Fatalf(string, ...any) }, leaf map[string][]byte, bundle []byte, now time.Time) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	block, _ := pem.Decode(leaf[pki.CertKey])
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: "shop-order.ns.svc", Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			t.Fatalf("at %s: %v", now, err)
		}
	}
}

func TestLeafIsReplacedOnlyForAReason(t *testing.T) {
	t.Parallel()
	authority, _ := pki.ParseAuthority(nil)
	if step, err := authority.Advance(start, "shop"); step != pki.StepCreated || err != nil {
		t.Fatalf("first step = %q, %v", step, err)
	}
	first, state, reason, err := authority.Ensure(nil, want(), start)
	if err != nil || reason == "" {
		t.Fatalf("first leaf: %q %v", reason, err)
	}
	if _, err := tls.X509KeyPair(first[pki.CertKey], first[pki.PrivateKey]); err != nil {
		t.Fatal(err)
	}
	verify(t, first, authority.Bundle(), start)
	renamed := want()
	renamed.DNSNames = append(renamed.DNSNames, "shop")
	broken := maps.Clone(first)
	broken[pki.PrivateKey] = []byte("x")
	// One that is good, but with another's key.
	other, _, _, err := authority.Ensure(nil, want(), start)
	if err != nil {
		t.Fatal(err)
	}
	mixed := maps.Clone(first)
	mixed[pki.PrivateKey] = other[pki.PrivateKey]
	for name, tt := range map[string]struct {
		old     map[string][]byte
		want    pki.Request
		now     time.Time
		replace bool
	}{
		"kept":        {first, want(), start.Add(time.Hour), false},
		"kept late":   {first, want(), state.RenewAt.Add(-time.Second), false},
		"due":         {first, want(), state.RenewAt, true},
		"other names": {first, renamed, start, true},
		"broken key":  {broken, want(), start, true},
		"other key":   {mixed, want(), start, true},
		"clock back":  {first, want(), start.Add(-time.Hour), true},
	} {
		got, _, reason, err := authority.Ensure(tt.old, tt.want, tt.now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if replaced := string(got[pki.CertKey]) != string(tt.old[pki.CertKey]); replaced != tt.replace || (reason != "") != tt.replace {
			t.Errorf("%s: replaced = %v, reason %q", name, replaced, reason)
		}
		if !tt.replace && !pki.Equal(got, tt.old) {
			t.Errorf("%s: data changed without a reason", name)
		}
	}
}

// Two pods that reload at different times, the slow one less than a day late,
// always trust each other, whenever the operator happens to run and whatever
// writes it loses.
func TestTrustNeverBreaks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 1))
		var stored, slow, fast map[string][]byte
		var slowAt time.Time
		now, switches := start, 0
		for now.Before(start.Add(600 * 24 * time.Hour)) {
			authority, err := pki.ParseAuthority(stored)
			if err != nil {
				t.Fatal(err)
			}
			step, err := authority.Advance(now, "shop")
			if err != nil {
				t.Fatal(err)
			}
			if lost := step != pki.StepNone && random.IntN(2) == 0; lost {
				now = now.Add(time.Hour)
				continue // nothing of it was used
			}
			if step == pki.StepSwitched {
				switches++
			}
			stored = authority.Data()
			if fast, _, _, err = authority.Ensure(fast, want(), now); err != nil {
				t.Fatal(err)
			}
			if slow == nil {
				slow, slowAt = fast, now
			}
			verify(t, fast, slow[pki.BundleKey], now)
			verify(t, slow, fast[pki.BundleKey], now)
			if now.Sub(slowAt) >= 11*time.Hour {
				slow, slowAt = fast, now
			}
			now = now.Add(time.Duration(1+random.IntN(11)) * time.Hour)
		}
		if switches < 1 {
			t.Fatalf("seed %d: no switch of the authority", seed)
		}
	}
}

func TestNextStepIsWhenSomethingHappens(t *testing.T) {
	t.Parallel()
	authority, _ := pki.ParseAuthority(nil)
	now := start
	var seen []pki.Step
	for range 6 {
		step, err := authority.Advance(now, "shop")
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, step)
		if early, _ := authority.Advance(authority.NextStep().Add(-time.Second), "shop"); early != pki.StepNone {
			t.Fatalf("step %q before its time", early)
		}
		now = authority.NextStep()
	}
	expected := []pki.Step{pki.StepCreated, pki.StepPublished, pki.StepSwitched, pki.StepForgot, pki.StepPublished, pki.StepSwitched}
	for i := range expected {
		if seen[i] != expected[i] {
			t.Fatalf("steps %v, want %v", seen, expected)
		}
	}
}

func TestAuthorityRefusesABrokenSecret(t *testing.T) {
	t.Parallel()
	good, _ := pki.ParseAuthority(nil)
	if _, err := good.Advance(start, "shop"); err != nil {
		t.Fatal(err)
	}
	other, _ := pki.ParseAuthority(nil)
	if _, err := other.Advance(start, "shop"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string][]byte){
		"no key":       func(d map[string][]byte) { delete(d, pki.PrivateKey) },
		"other key":    func(d map[string][]byte) { d[pki.PrivateKey] = other.Data()[pki.PrivateKey] },
		"not PEM":      func(d map[string][]byte) { d[pki.CertKey] = []byte("x") },
		"no such time": func(d map[string][]byte) { d["previous.crt"] = d[pki.CertKey] },
	} {
		data := good.Data()
		change(data)
		if _, err := pki.ParseAuthority(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A person may ask for a next authority at any time: it is published once, and
// takes the same time to sign as one that was due.
func TestIntroducePublishesBeforeItsTime(t *testing.T) {
	t.Parallel()
	authority, _ := pki.ParseAuthority(nil)
	introduce := func(at time.Time, want pki.Step) {
		t.Helper()
		if step, err := authority.Introduce(at, "shop"); step != want || err != nil {
			t.Errorf("step = %q, %v, want %q", step, err, want)
		}
	}
	introduce(start, pki.StepCreated)
	first := authority.ID()
	introduce(start.Add(time.Hour), pki.StepPublished)
	introduce(start.Add(2*time.Hour), pki.StepNone)
	if authority.ID() != first || !authority.Publishing() {
		t.Error("it signs before everybody trusts it")
	}
	if step, err := authority.Advance(authority.NextStep(), "shop"); step != pki.StepSwitched || err != nil || authority.ID() == first {
		t.Errorf("step = %q, %v", step, err)
	}
}
