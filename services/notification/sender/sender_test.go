package sender_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/commercestack/commercestack/services/notification"
	"github.com/commercestack/commercestack/services/notification/sender"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMessage() notification.Message {
	return notification.Message{
		ID: uuid.MustParse("0198c1de-0000-7000-8000-000000000001"), To: "ada@example.com", Subject: "Größe & more", Text: "plain text\n",
		HTML: "<p>html</p>", FromName: "Shop", FromAddress: "shop@shop.example",
	}
}

func newSendGrid(t *testing.T, timeout time.Duration, answer http.HandlerFunc) *sender.SendGrid {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	client := server.Client()
	client.Timeout = timeout
	return sender.NewSendGrid("SG.secret", server.URL, client)
}

func TestTrap25SendGridSuccessIs202(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		ok     bool
	}{
		"202 is success": {202, true}, "200 is not": {200, false}, "201 is not": {201, false}, "204 is not": {204, false},
		"400": {400, false}, "401": {401, false}, "413": {413, false}, "429": {429, false}, "500": {500, false}, "503": {503, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSendGrid(t, 5*time.Second, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Message-Id", "sg-1")
				w.WriteHeader(test.status)
				if test.status != http.StatusNoContent {
					_, _ = io.WriteString(w, `{"errors":[{"message":"ada@example.com is bad"}]}`)
				}
			})
			reference, err := s.Send(t.Context(), newMessage())
			if test.ok && (err != nil || reference != "sg-1") || !test.ok && (err == nil || reference != "") {
				t.Errorf("%q, %v", reference, err)
			}
			if err != nil && (strings.Contains(err.Error(), "SG.secret") || strings.Contains(err.Error(), "ada@")) {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestSendGridRequest(t *testing.T) {
	t.Parallel()
	var got struct {
		Personalizations []struct {
			To []struct{ Email string }
		}
		From       struct{ Email, Name string }
		Subject    string
		Content    []struct{ Type, Value string }
		Headers    map[string]string
		CustomArgs map[string]string `json:"custom_args"`
	}
	s := newSendGrid(t, 5*time.Second, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v3/mail/send" || r.Header.Get("Authorization") != "Bearer SG.secret" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	if reference, err := s.Send(t.Context(), newMessage()); err != nil || reference != "accepted" {
		t.Fatalf("%q (%v)", reference, err)
	}
	if got.Personalizations[0].To[0].Email != "ada@example.com" || got.From.Email != "shop@shop.example" || got.From.Name != "Shop" || got.Subject != "Größe & more" ||
		len(got.Content) != 2 || got.Content[0].Type != "text/plain" || got.Content[1].Value != "<p>html</p>" ||
		got.Headers["Message-ID"] != "<0198c1de-0000-7000-8000-000000000001@shop.example>" || got.CustomArgs["mail_id"] == "" {
		t.Errorf("%+v", got)
	}
}

func TestSendGridThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	leave := make(chan struct{})
	s := newSendGrid(t, 100*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-leave:
		case <-r.Context().Done():
		}
	})
	defer close(leave)
	if _, err := s.Send(t.Context(), newMessage()); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Send(ctx, newMessage()); err == nil {
		t.Error("sent after the end")
	}
}

// mailServer is a small SMTP server.
type mailServer struct {
	address string
	// tls is offered by STARTTLS, or spoken from the start.
	tls      *tls.Config
	implicit bool
	// login is the "user\x00password" that AUTH PLAIN must give; empty asks for none.
	login string
	// refuse is the answer to RCPT; empty takes everybody.
	refuse string

	mu       sync.Mutex
	messages []string
	secure   []bool
}

func (m *mailServer) start(t *testing.T) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			connection, err := l.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { m.serve(connection) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		connections.Wait()
	})
	return m
}

func (m *mailServer) serve(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(3 * time.Second))
	secure := false
	if m.implicit {
		connection, secure = tls.Server(connection, m.tls), true
	}
	lines := bufio.NewReader(connection)
	say := func(text string) { _, _ = io.WriteString(connection, text+"\r\n") }
	say("220 test ESMTP")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			say("250-test")
			if m.tls != nil && !secure {
				say("250-STARTTLS")
			}
			if m.login != "" {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			connection, secure = tls.Server(connection, m.tls), true
			lines = bufio.NewReader(connection)
		case "AUTH":
			given, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if string(given) != "\x00"+m.login {
				say("535 wrong login")
				continue
			}
			say("235 welcome")
		case "RCPT":
			if m.refuse != "" {
				say(m.refuse)
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go on")
			var body strings.Builder
			for {
				line, err := lines.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				body.WriteString(line)
			}
			m.mu.Lock()
			m.messages, m.secure = append(m.messages, body.String()), append(m.secure, secure)
			m.mu.Unlock()
			say("250 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// newCertificate returns the configuration of a server and of a client that trusts it.
func newCertificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
}

func TestSMTP(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := newCertificate(t)
	_, stranger := newCertificate(t)
	for name, test := range map[string]struct {
		server  *mailServer
		config  sender.SMTPConfig
		secure  bool
		wantErr string
	}{
		"without TLS":                {&mailServer{}, sender.SMTPConfig{TLS: "none"}, false, ""},
		"STARTTLS":                   {&mailServer{tls: serverTLS}, sender.SMTPConfig{TLS: "starttls", Config: clientTLS}, true, ""},
		"implicit TLS":               {&mailServer{tls: serverTLS, implicit: true}, sender.SMTPConfig{TLS: "implicit", Config: clientTLS}, true, ""},
		"with a login":               {&mailServer{tls: serverTLS, login: "shop\x00secret"}, sender.SMTPConfig{TLS: "starttls", Config: clientTLS, Username: "shop", Password: "secret"}, true, ""},
		"a wrong login":              {&mailServer{tls: serverTLS, login: "shop\x00secret"}, sender.SMTPConfig{TLS: "starttls", Config: clientTLS, Username: "shop", Password: "hunter2"}, true, "535"},
		"no STARTTLS where needed":   {&mailServer{}, sender.SMTPConfig{TLS: "starttls", Config: clientTLS}, false, "TLS"},
		"an unknown certificate":     {&mailServer{tls: serverTLS}, sender.SMTPConfig{TLS: "starttls", Config: stranger}, false, "certificate"},
		"an address nobody knows":    {&mailServer{refuse: "550 <ada@example.com> unknown"}, sender.SMTPConfig{TLS: "none"}, false, "550"},
		"a server that asks to wait": {&mailServer{refuse: "451 later"}, sender.SMTPConfig{TLS: "none"}, false, "451"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.server.start(t)
			test.config.Address = test.server.address
			s, err := sender.NewSMTP(test.config)
			if err != nil {
				t.Fatal(err)
			}
			reference, err := s.Send(t.Context(), newMessage())
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v", err)
				}
				if len(test.server.messages) != 0 {
					t.Error("the mail went out")
				}
				return
			}
			if err != nil || reference != "<0198c1de-0000-7000-8000-000000000001@shop.example>" {
				t.Fatalf("%q (%v)", reference, err)
			}
			if len(test.server.messages) != 1 || test.server.secure[0] != test.secure {
				t.Fatalf("%d messages, secure %v", len(test.server.messages), test.server.secure)
			}
			for _, want := range []string{
				"To: <ada@example.com>", `From: "Shop" <shop@shop.example>`, "Message-ID: <0198c1de-0000-7000-8000-000000000001@shop.example>",
				"Subject: =?UTF-8?", "multipart/alternative", "plain text", "<p>html</p>", "Date: ",
			} {
				if !strings.Contains(test.server.messages[0], want) {
					t.Errorf("no %q in\n%s", want, test.server.messages[0])
				}
			}
		})
	}
}

func TestSMTPAddsNoHeader(t *testing.T) {
	t.Parallel()
	server := (&mailServer{}).start(t)
	s, err := sender.NewSMTP(sender.SMTPConfig{Address: server.address, TLS: "none"})
	if err != nil {
		t.Fatal(err)
	}
	evil := newMessage()
	evil.Subject = "hello\r\nBcc: victim@example.com\r\n\r\nbody"
	if _, err := s.Send(t.Context(), evil); err == nil && strings.Contains(server.messages[0], "\nBcc: victim") {
		t.Errorf("a subject added a header:\n%s", server.messages[0])
	}
	for _, to := range []string{"a@example.com\r\nBcc: victim@example.com", "nobody", ""} {
		evil := newMessage()
		evil.To = to
		if _, err := s.Send(t.Context(), evil); err == nil {
			t.Errorf("sent to %q", to)
		}
	}
	wrong := newMessage()
	wrong.FromAddress = "nowhere"
	if _, err := s.Send(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "sender's address") {
		t.Errorf("from nowhere: %v", err)
	}
}

func TestSMTPConfiguration(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]sender.SMTPConfig{
		"host:port": {Address: "mail.example.com", TLS: "none"}, "not a number": {Address: "mail.example.com:smtp", TLS: "none"},
		"none of starttls": {Address: "mail.example.com:25", TLS: "maybe"}, "": {Address: ":25", TLS: "none"},
		"port": {Address: "mail.example.com:99999", TLS: "none"},
	} {
		if _, err := sender.NewSMTP(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", config, err)
		}
	}
}
