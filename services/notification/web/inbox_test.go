package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/commercestack/commercestack/services/notification/store"
	"github.com/commercestack/commercestack/services/notification/web"
)

// list answers with fixed mails; the store has its own tests on a real database.
type list func(to string) ([]store.Captured, error)

func (l list) List(_ context.Context, to string, _ int) ([]store.Captured, error) { return l(to) }

func ask(t *testing.T, mails list, path, accept string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	request.Header.Set("Accept", accept)
	recorder := httptest.NewRecorder()
	web.NewInbox(mails).ServeHTTP(recorder, request)
	return recorder
}

func some(to string) ([]store.Captured, error) {
	if to != "ada@example.com" {
		return nil, nil
	}
	return []store.Captured{{
		To: to, Subject: "<Hello>", Text: "Go to\n\nhttps://shop.example/verify-email?token=a.b_c&x=1\n\nor https://shop.example\n\nhttps://shop.example/verify-email?token=a.b_c&x=1\n",
		HTML: "<script>alert(1)</script>", SendTime: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600)),
	}}, nil
}

func TestInboxAsJSON(t *testing.T) {
	t.Parallel()
	answer := ask(t, some, "/dev/mail?to=ada%40example.com", "*/*")
	var got any
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"messages": []any{map[string]any{
		"to": "ada@example.com", "subject": "<Hello>", "text": "Go to\n\nhttps://shop.example/verify-email?token=a.b_c&x=1\n\nor https://shop.example\n\nhttps://shop.example/verify-email?token=a.b_c&x=1\n",
		"html": "<script>alert(1)</script>", "sentTime": "2026-01-02T02:04:05.000006Z",
		"links": []any{"https://shop.example/verify-email?token=a.b_c&x=1", "https://shop.example"},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if answer.Header().Get("Content-Type") != "application/json" || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", answer.Header())
	}
	if empty := ask(t, some, "/dev/mail?to=nobody@example.com", ""); strings.TrimSpace(empty.Body.String()) != `{"messages":[]}` {
		t.Errorf("nobody's mail is %s", empty.Body)
	}
	without := ask(t, func(string) ([]store.Captured, error) { return []store.Captured{{Text: "no link"}}, nil }, "/dev/mail", "")
	if !strings.Contains(without.Body.String(), `"links":[]`) {
		t.Errorf("no links are %s", without.Body)
	}
}

func TestInboxAsPage(t *testing.T) {
	t.Parallel()
	answer := ask(t, some, "/dev/mail?to=ada%40example.com", "text/html,application/xhtml+xml")
	body := answer.Body.String()
	if !strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html") || strings.Contains(body, "<script") || strings.Contains(body, "<Hello>") || !strings.Contains(body, "&lt;Hello&gt;") {
		t.Errorf("%v\n%s", answer.Header(), body)
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if policy := answer.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the page's own style is blocked by %q", policy)
	}
	if empty := ask(t, some, "/dev/mail", "text/html").Body.String(); !strings.Contains(empty, "none yet") {
		t.Errorf("an empty inbox shows %s", empty)
	}
}

func TestInboxWithoutADatabase(t *testing.T) {
	t.Parallel()
	answer := ask(t, func(string) ([]store.Captured, error) { return nil, errors.New("password=secret") }, "/dev/mail", "")
	if answer.Code != http.StatusServiceUnavailable || strings.Contains(answer.Body.String(), "secret") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
