package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/commercestack/commercestack/hack/cluster/pki"
)

func pool(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(data) {
		t.Fatalf("%s holds no certificate", path)
	}
	return authorities
}

func pair(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A client of one authority is accepted by its servers and by no others.
func TestAuthoritiesAreApart(t *testing.T) {
	t.Parallel()
	cluster, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{cluster, other} {
		authority, err := pki.NewAuthority(dir, "ca")
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range []pki.Request{
			{Name: "server", CommonName: "server", Hosts: []string{"server.test", "127.0.0.1"}},
			{Name: "client", CommonName: "system:node:one", Organizations: []string{"system:nodes"}},
		} {
			if err := authority.Issue(request); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := map[string]struct {
		client, roots string
		accepted      bool
	}{
		"own client":            {client: cluster, roots: cluster, accepted: true},
		"client of another":     {client: other, roots: cluster},
		"server seen by others": {client: cluster, roots: other},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := net.Pipe()
			subject := make(chan *x509.Certificate, 1)
			go func() {
				defer server.Close()
				conn := tls.Server(server, &tls.Config{
					Certificates: []tls.Certificate{pair(t, cluster, "server")},
					ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool(t, filepath.Join(cluster, "ca.crt")),
				})
				defer close(subject)
				if conn.Handshake() == nil {
					subject <- conn.ConnectionState().PeerCertificates[0]
				}
			}()
			conn := tls.Client(client, &tls.Config{
				Certificates: []tls.Certificate{pair(t, test.client, "client")},
				RootCAs:      pool(t, filepath.Join(test.roots, "ca.crt")), ServerName: "127.0.0.1",
			})
			_ = conn.Handshake()
			_, _ = io.ReadAll(conn)
			client.Close()
			cert := <-subject
			if accepted := cert != nil; accepted != test.accepted {
				t.Fatalf("accepted = %t, want %t", accepted, test.accepted)
			}
			if cert != nil && (cert.Subject.CommonName != "system:node:one" || cert.Subject.Organization[0] != "system:nodes") {
				t.Errorf("subject = %v", cert.Subject)
			}
		})
	}
}

func TestKeysAreReadByTheOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := pki.NewAuthority(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	if err := pki.WriteSigningKey(dir, "sa"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "sa.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}
