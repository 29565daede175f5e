package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commercestack/commercestack/internal/certificate"
	"github.com/commercestack/commercestack/internal/certificate/certtest"
)

// secureShape is a stack whose connections are all TLS. It runs product, the
// gateway and the rest in a process each.
type secureShape struct {
	*shape

	files    certificate.Files
	folder   string
	product  string
	trusting *http.Client // trusts both authorities of the test
	both     string       // their bundle
}

func newSecureShape(t *testing.T, first, second *certtest.Authority) *secureShape {
	t.Helper()
	h := &secureShape{folder: t.TempDir(), product: freeAddress(t)}
	h.files = first.Write(t, h.folder)
	h.shape = newShape(t, "--tls-cert-file", h.files.Cert, "--tls-key-file", h.files.Key, "--tls-ca-file", h.files.CA)
	pool := x509.NewCertPool()
	bundle := append(first.PEM(), second.PEM()...)
	pool.AppendCertsFromPEM(bundle)
	h.both = write(t, string(bundle), t.TempDir(), "both.crt")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	h.trusting = &http.Client{Transport: transport, Timeout: time.Minute}

	pair, err := tls.LoadX509KeyPair(h.files.Cert, h.files.Key)
	if err != nil {
		t.Fatal(err)
	}
	cache := miniredis.NewMiniRedis()
	if err := cache.StartTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	h.redis = "rediss://" + cache.Addr() + "?protocol=2"

	rest := freeAddress(t)
	urls := []string{"--url", "product=https://" + h.product}
	for _, name := range ComponentNames() {
		if name != "product" && name != gatewayName {
			urls = append(urls, "--url", name+"=https://"+rest)
		}
	}
	public := []string{"--gateway-tls-cert-file", h.files.Cert, "--gateway-tls-key-file", h.files.Key}
	h.serve(append(urls, "--components", "product", "--listen", h.product)...)
	h.serve(append(urls, "--components", "auth,user,order,billing,notification,analytics,admin,storefront", "--listen", rest)...)
	h.serve(append(append(urls, public...), "--components", gatewayName, "--listen", h.gateway)...)
	member, err := newCommandClient(h.files, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{h.product, rest} {
		await(t, member, "https://"+address+"/readyz")
	}
	await(t, h.trusting, h.base()+"/readyz")
	return h
}

func TestEverythingOverTLS(t *testing.T) {
	t.Parallel()
	first, second := certtest.New(t, "first"), certtest.New(t, "second")
	h := newSecureShape(t, first, second)
	boss := h.boss(h.trusting)
	id := buy(t, boss)
	if _, err := boss.WaitOrder(t.Context(), id, "CONFIRMED"); err != nil {
		t.Fatal(err)
	}
	t.Run("who may call a component", func(t *testing.T) { h.testCallers(t, second) })
	t.Run("commands", h.testCommands)
	t.Run("rotation", func(t *testing.T) {
		stop := h.traffic(t)
		// Trust both, then issue by the new one, then forget the old one.
		for _, step := range []struct {
			issuer  *certtest.Authority
			trusted []*certtest.Authority
		}{{first, []*certtest.Authority{first, second}}, {second, []*certtest.Authority{first, second}}, {second, []*certtest.Authority{second}}} {
			step.issuer.Write(t, h.folder, step.trusted...)
			time.Sleep(3 * time.Second)
		}
		stop()
		if issuer := h.issuer(t); issuer != "second" {
			t.Errorf("the public certificate is of %q", issuer)
		}
		if _, err := boss.WaitOrder(t.Context(), buy(t, boss), "CONFIRMED"); err != nil {
			t.Error(err)
		}
	})
}

// A public certificate of somebody else's, for another name, is nothing to those
// who call the gateway by its name in the stack.
func TestCallersInsideSeeTheGatewaysOwnCertificate(t *testing.T) {
	t.Parallel()
	bought, ours := certtest.New(t, "bought"), certtest.New(t, "ours")
	store := func(files certificate.Files) *certificate.Store {
		opened, err := certificate.Open(files, nil)
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	p := newBare(&Config{})
	files := bought.WriteFor(t, t.TempDir(), []string{"shop.example.com"})
	public, peers := store(certificate.Files{Cert: files.Cert, Key: files.Key}), store(ours.Write(t, t.TempDir()))
	p.public, p.resources.public, p.resources.peers = http.NotFoundHandler(), public, peers
	if err := p.addListeners("127.0.0.1:0", "", ""); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(p.addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	caller, err := newCommandClient(certificate.Files{CA: write(t, string(ours.PEM()), t.TempDir(), "ca.crt")}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []*http.Client{caller, {Transport: newOutsideTransport(peers), Timeout: time.Minute}} {
		answer, err := client.Get("https://localhost:" + port + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
}

func TestAuthoritiesOfRedis(t *testing.T) {
	t.Parallel()
	ours, theirs := certtest.New(t, "ours"), certtest.New(t, "theirs")
	peers, err := certificate.Open(ours.Write(t, t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	ping := func(authority *certtest.Authority, query string) error {
		files := authority.Write(t, t.TempDir())
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			t.Fatal(err)
		}
		server := miniredis.NewMiniRedis()
		if err := server.StartTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		client, err := newRedis("rediss://"+server.Addr()+"?protocol=2&max_retries=-1"+query, peers)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Ping(t.Context()).Err()
	}
	ca := write(t, string(theirs.PEM()), t.TempDir(), "redis-ca.crt")
	for name, test := range map[string]struct {
		authority *certtest.Authority
		query     string
		err       string
	}{
		"the stack's":           {ours, "", ""},
		"another's":             {theirs, "", "unknown authority"},
		"one that is named":     {theirs, "&ssl_ca_certs=" + ca, ""},
		"none but the named":    {ours, "&ssl_ca_certs=" + ca, "unknown authority"},
		"the system's":          {ours, "&ssl_ca_certs=system", "unknown authority"},
		"a file that is none":   {theirs, "&ssl_ca_certs=" + write(t, "nonsense", t.TempDir(), "ca"), "no certificate"},
		"a file that is absent": {theirs, "&ssl_ca_certs=/nowhere", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := ping(test.authority, test.query); test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error = %v, want %q", err, test.err)
			}
		})
	}
	if _, err := newRedis("redis://localhost?ssl_ca_certs=system", peers); err == nil || !strings.Contains(err.Error(), "needs rediss://") {
		t.Errorf("authorities without TLS: %v", err)
	}
}

// testCallers holds that only those with a certificate of the stack reach a component.
func (h *secureShape) testCallers(t *testing.T, foreign *certtest.Authority) {
	url := "https://" + h.product + "/readyz"
	ask := func(files certificate.Files) error {
		client, err := newCommandClient(files, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Get(url)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err
	}
	if err := ask(h.files); err != nil {
		t.Errorf("a member: %v", err)
	}
	alien := foreign.Write(t, t.TempDir())
	if err := ask(certificate.Files{Cert: alien.Cert, Key: alien.Key, CA: h.files.CA}); err == nil {
		t.Error("a foreign certificate is let in")
	}
	if err := ask(certificate.Files{CA: h.files.CA}); err == nil {
		t.Error("callers without a certificate are let in")
	}
	for name, address := range map[string]string{"a component": h.product, "the gateway": h.gateway} {
		conn, err := tls.Dial("tcp", address, &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true})
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s speaks TLS 1.2", name)
		}
	}
	if _, _, err := get(t, "http://"+h.gateway+"/readyz"); err == nil {
		if status, _, _ := get(t, "http://"+h.gateway+"/readyz"); status == http.StatusOK {
			t.Error("the gateway speaks HTTP without TLS")
		}
	}
}

// testCommands runs the commands of people and Jobs against the shop.
func (h *secureShape) testCommands(t *testing.T) {
	password := write(t, bossPassword+"\n", t.TempDir(), "password")
	remote := []string{"--url", h.base(), "--admin-email", bossEmail, "--password-file", password, "--ca-file", h.both}
	export := filepath.Join(t.TempDir(), "products.csv")
	for _, test := range []struct {
		want      string
		arguments []string
	}{
		{"ok\n", []string{"health", "--ca-file", h.both, h.base() + "/readyz"}},
		{"ok\n", []string{"health", "--tls-cert-file", h.files.Cert, "--tls-key-file", h.files.Key, "--tls-ca-file", h.files.CA, "https://" + h.product + "/readyz"}},
		{"signed by unknown authority", []string{"health", h.base() + "/readyz"}},
		{"the shop has products already\nevery product", append([]string{"import", "demo"}, remote...)},
		{"", append(append([]string{"export", "products", "--format", "shopify"}, remote...), export)},
	} {
		var out strings.Builder
		err := Main(t.Context(), test.arguments, &out, io.Discard)
		if err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: %s", test.arguments[0], out.String())
		}
	}
	if content, err := os.ReadFile(export); err != nil || !strings.Contains(string(content), "Enamel mug") {
		t.Errorf("export: %s (%v)", content, err)
	}
}

// traffic reads the catalog over lasting and over fresh connections until the
// returned function is called. No read may fail.
func (h *secureShape) traffic(t *testing.T) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	var calls atomic.Int64
	var group sync.WaitGroup
	for _, fresh := range []bool{true, false, false} {
		transport := h.trusting.Transport.(*http.Transport).Clone()
		transport.DisableKeepAlives = fresh
		client := &http.Client{Transport: transport, Timeout: time.Minute}
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				case <-time.After(20 * time.Millisecond):
				}
				calls.Add(1)
				// A different query each time: no cache answers for product.
				answer, err := client.Get(h.base() + "/api/v1/products?q=mug" + strings.Repeat("+mug", i%40))
				if err != nil {
					t.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("status %d", answer.StatusCode)
				}
			}
		})
	}
	return func() {
		close(ended)
		group.Wait()
		t.Logf("%d reads", calls.Load())
		if calls.Load() < 100 {
			t.Error("that was no traffic")
		}
	}
}

// issuer is who issued the public certificate.
func (h *secureShape) issuer(t *testing.T) string {
	t.Helper()
	conn, err := tls.Dial("tcp", h.gateway, h.trusting.Transport.(*http.Transport).TLSClientConfig.Clone())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Issuer.CommonName
}
