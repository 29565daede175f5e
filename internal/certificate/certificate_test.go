package certificate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/certificate"
	"github.com/commercestack/commercestack/internal/certificate/certtest"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t *testing.T, files certificate.Files) *certificate.Store {
	t.Helper()
	store, err := certificate.Open(files, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// serve answers with the store's certificate and returns the address.
func serve(t *testing.T, store *certificate.Store) string {
	t.Helper()
	return serveWith(t, store.Server())
}

func serveWith(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
		ReadHeaderTimeout: time.Minute, TLSConfig: config, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelDebug),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

// caller is a client without memory of connections, so that each call is a handshake.
func caller(dial certificate.Dial) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialTLSContext: dial, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
}

func call(ctx context.Context, client *http.Client, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func TestPeersOfOneAuthority(t *testing.T) {
	t.Parallel()
	ours, theirs := certtest.New(t, "ours"), certtest.New(t, "theirs")
	address := serve(t, open(t, ours.Write(t, t.TempDir())))
	member := open(t, ours.Write(t, t.TempDir()))
	foreign := open(t, theirs.Write(t, t.TempDir(), ours)) // it trusts us, we do not trust it
	nobody := open(t, certificate.Files{CA: ours.Write(t, t.TempDir()).CA})
	stranger := open(t, ours.Write(t, t.TempDir(), theirs)) // it does not trust us
	for name, test := range map[string]struct {
		dial      certificate.Dial
		want, err string
		refused   bool // after the handshake, which may show as a connection that breaks
	}{
		"a member by HTTP/2":       {dial: member.Dialer("h2"), want: "HTTP/2.0"},
		"a member by HTTP/1.1":     {dial: member.Dialer("http/1.1"), want: "HTTP/1.1"},
		"a member that looks out":  {dial: member.OutsideDialer("h2"), want: "HTTP/2.0"},
		"a foreign certificate":    {dial: foreign.Dialer("h2"), refused: true},
		"no certificate":           {dial: nobody.Dialer("h2"), refused: true},
		"one that trusts no one":   {dial: stranger.Dialer("h2"), err: "certificate signed by unknown authority"},
		"TLS 1.2":                  {dial: old(t, ours), err: "protocol version"},
		"another name":             {dial: elsewhere(member.Dialer("h2"), address), err: "not other.example"},
		"no such protocol offered": {dial: member.Dialer("gopher"), err: "no application protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := address
			if name == "another name" {
				target = "other.example:443"
			}
			got, err := call(t.Context(), caller(test.dial), target)
			if test.refused {
				if err == nil {
					t.Errorf("let in: %q", got)
				}
				return
			}
			if test.err == "" && (err != nil || got != test.want) {
				t.Errorf("%q (%v)", got, err)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("%q: error = %v, want %q", got, err, test.err)
			}
		})
	}
}

// One listener shows customers the certificate of the public name and the stack
// that of its own name.
func TestTwoCertificatesOfOneListener(t *testing.T) {
	t.Parallel()
	bought, ours := certtest.New(t, "bought"), certtest.New(t, "ours")
	folder := t.TempDir()
	files := bought.WriteFor(t, t.TempDir(), []string{"shop.example.com", "*.example.org"})
	public := open(t, certificate.Files{Cert: files.Cert, Key: files.Key})
	inside := open(t, ours.WriteFor(t, folder, []string{"shop-gateway", "shop.example.com"}))
	address := serveWith(t, public.ServerBeside(inside))
	alone := serveWith(t, public.ServerBeside(nil))
	issuer := func(address, host string) string {
		conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Issuer.CommonName
	}
	for host, want := range map[string]string{
		"shop.example.com": "bought", "www.example.org": "bought", "shop-gateway": "ours", "other.example": "bought", "": "bought",
	} {
		if got := issuer(address, host); got != want {
			t.Errorf("%q sees the certificate of %q, want %q", host, got, want)
		}
		if got := issuer(alone, host); got != "bought" {
			t.Errorf("%q sees the certificate of %q where there is one", host, got)
		}
	}
	ours.WriteFor(t, folder, []string{"renamed"})
	for deadline := time.Now().Add(time.Minute); issuer(address, "renamed") != "ours"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the second certificate is not read again")
		}
	}
}

// old dials as programs did that know TLS 1.2 only.
func old(t *testing.T, authority *certtest.Authority) certificate.Dial {
	t.Helper()
	files := authority.Write(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.PEM())
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := &tls.Dialer{Config: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}}
		return dialer.DialContext(ctx, network, address)
	}
}

// elsewhere answers for any name with the server at the address.
func elsewhere(_ certificate.Dial, address string) certificate.Dial {
	return func(ctx context.Context, network, asked string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(asked)
		if err != nil {
			return nil, err
		}
		plain, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS13})
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return conn, nil
	}
}

func TestRotationUnderTraffic(t *testing.T) {
	t.Parallel()
	first, second := certtest.New(t, "first"), certtest.New(t, "second")
	serverFolder, clientFolder := t.TempDir(), t.TempDir()
	address := serve(t, open(t, first.Write(t, serverFolder)))
	dial := open(t, first.Write(t, clientFolder)).Dialer("h2")
	fresh := caller(dial)
	lasting := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialTLSContext: dial, ForceAttemptHTTP2: true}}

	stop := make(chan struct{})
	var calls, failures atomic.Int64
	var traffic sync.WaitGroup
	for _, client := range []*http.Client{fresh, fresh, lasting} {
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				calls.Add(1)
				if got, err := call(t.Context(), client, address); err != nil || got != "HTTP/2.0" {
					failures.Add(1)
					t.Errorf("%q (%v)", got, err)
				}
			}
		})
	}
	seen := func(issuer string) bool {
		conn, err := dial(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Issuer.CommonName == issuer
	}
	// Trust both, then issue by the new one, then forget the old one.
	for _, step := range []struct {
		issuer  *certtest.Authority
		name    string
		trusted []*certtest.Authority
	}{
		{first, "first", []*certtest.Authority{first, second}},
		{second, "second", []*certtest.Authority{first, second}},
		{second, "second", []*certtest.Authority{second}},
	} {
		for _, folder := range []string{serverFolder, clientFolder} {
			step.issuer.Write(t, folder, step.trusted...)
		}
		time.Sleep(2500 * time.Millisecond) // longer than files are believed
		if !seen(step.name) {
			t.Errorf("the certificate of %s is not in use", step.name)
		}
	}
	if _, err := call(t.Context(), caller(open(t, first.Write(t, t.TempDir(), second)).Dialer("h2")), address); err == nil {
		t.Error("the forgotten authority is still trusted")
	}
	close(stop)
	traffic.Wait()
	t.Logf("%d calls, %d failures", calls.Load(), failures.Load())
	if calls.Load() < 100 {
		t.Error("that was no traffic")
	}
}

func TestFilesThatMakeNoSenseChangeNothing(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t, "ours")
	folder := t.TempDir()
	files := authority.Write(t, folder)
	store := open(t, files)
	address, dial := serve(t, store), open(t, authority.Write(t, t.TempDir())).Dialer("h2")
	for _, path := range []string{files.Cert, files.Key, files.CA} {
		if err := os.WriteFile(path, []byte("half a secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2100 * time.Millisecond)
	for range 2 {
		if got, err := call(t.Context(), caller(dial), address); err != nil || got != "HTTP/2.0" {
			t.Errorf("%q (%v)", got, err)
		}
	}
	if store.NotAfter().Before(time.Now()) {
		t.Errorf("the certificate ends at %s", store.NotAfter())
	}
}

func TestOpenNamesFilesAndNotWhatIsInThem(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	good := certtest.New(t, "ours").Write(t, folder)
	bad := filepath.Join(folder, "bad")
	if err := os.WriteFile(bad, []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\nsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, files := range map[string]certificate.Files{
		"needs both":        {Cert: good.Cert, CA: good.CA},
		"neither":           {},
		folder + "/none":    {Cert: folder + "/none", Key: good.Key},
		bad:                 {Cert: good.Cert, Key: bad, CA: good.CA},
		"no certificate of": {Cert: good.Cert, Key: good.Key, CA: bad},
	} {
		_, err := certificate.Open(files, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}
