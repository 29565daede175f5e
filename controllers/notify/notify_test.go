package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var now = time.Unix(1_800_000_000, 0).UTC()

func notice(id string, kind Kind) Notice {
	return Notice{
		ID: id, Kind: kind, Namespace: "shops", Stack: "shop", Revision: "9b2e", Version: "1.5.0", At: now,
		Reason: "error-rate of <!channel> & others is 0.2, the limit is 0.01",
	}
}

// Whatever fails and however often, a mailbox stays bounded, tries end, notices
// come in order, and none comes after it was taken out.
func TestMailbox(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, clock := Mailbox{Receiver: "team"}, now
		delivered := map[string]bool{}
		last := -1
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "something happens") {
				m = m.Put(notice(fmt.Sprintf("%03d", i), rapid.SampledFrom([]Kind{KindStarted, KindPromoted, KindFailed}).Draw(t, "kind")))
			}
			clock = clock.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
			if n, due := m.Due(clock); due {
				var number int
				if _, err := fmt.Sscanf(n.ID, "%03d", &number); err != nil || number < last || delivered[n.ID] {
					t.Fatalf("notice %s comes again, or after a later one", n.ID)
				}
				last = number
				problem := rapid.SampledFrom([]string{"", "it answers 500"}).Draw(t, "problem")
				m = m.Settle(n.ID, problem, clock)
				delivered[n.ID] = problem == ""
				if wait := m.RetryAt.Sub(clock); problem != "" && (wait < firstRetry || wait > lastRetry) {
					t.Fatalf("it is tried again after %s", wait)
				}
			}
			if len(m.Waiting) > maxWaiting || m.Tries >= maxTries {
				t.Fatalf("%d notices wait, %d tries", len(m.Waiting), m.Tries)
			}
		}
	})
}

func TestADeadReceiverIsGivenUp(t *testing.T) {
	t.Parallel()
	m := Mailbox{}.Put(notice("a", KindFailed)).Put(notice("a", KindFailed)).Put(notice("b", KindPromoted))
	tries, clock := 0, now
	for ; clock.Before(now.Add(24 * time.Hour)); clock = clock.Add(time.Second) {
		n, due := m.Due(clock)
		if !due {
			continue
		}
		tries++
		m = m.Settle(n.ID, "it answers 500", clock)
	}
	if tries != 2*maxTries || len(m.Waiting) != 0 || m.Alarmed || m.LastError != "given up: it answers 500" {
		t.Errorf("%d tries in a day, then %+v", tries, m)
	}
}

func TestWillAlarm(t *testing.T) {
	t.Parallel()
	m := Mailbox{}.Put(notice("a", KindStarted))
	if m.WillAlarm() {
		t.Error("a beginning is an alarm")
	}
	m = m.Put(notice("b", KindFailed))
	if !m.WillAlarm() {
		t.Error("a failure that waits is none")
	}
	m = m.Settle("a", "", now).Settle("b", "", now)
	if !m.Alarmed || !m.WillAlarm() || m.Put(notice("c", KindPromoted)).WillAlarm() {
		t.Errorf("%+v", m)
	}
}

// receiver is a server that fails as often as it is told to.
type receiver struct {
	mu     sync.Mutex
	fail   int
	bodies []map[string]any
	url    string
	client *http.Client
}

func newReceiver(t *testing.T, fail int) *receiver {
	t.Helper()
	r := &receiver{fail: fail}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		raw, _ := io.ReadAll(request.Body)
		body := map[string]any{}
		r.mu.Lock()
		defer r.mu.Unlock()
		if json.Unmarshal(raw, &body) != nil || request.Header.Get("Idempotency-Key") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.bodies = append(r.bodies, body)
		if r.fail > 0 {
			r.fail--
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(server.Close)
	r.url, r.client = server.URL+"/services/T0/SECRET", server.Client()
	return r
}

func try(t *testing.T, c *Courier, to Receiver, n Notice) string {
	t.Helper()
	if err := c.try(t.Context(), to, n); err != nil {
		return err.Error()
	}
	return ""
}

func TestMessages(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 0)
	c := NewCourier(r.client)
	c.pagerDuty = r.url
	for _, to := range []Receiver{{TypeSlack, r.url}, {TypePagerDuty, "R0UT1NG"}, {TypeWebhook, r.url}} {
		for _, kind := range []Kind{KindFailed, KindPromoted} {
			if problem := try(t, c, to, notice("a", kind)); problem != "" {
				t.Fatalf("%s: %s", to.Type, problem)
			}
		}
	}
	text, _ := r.bodies[0]["text"].(string)
	for _, want := range []string{"shops/shop", "9b2e", "1.5.0", "failed", "0.2, the limit", "&lt;!channel&gt; &amp; others"} {
		if !strings.Contains(text, want) {
			t.Errorf("Slack is told %q, without %q", text, want)
		}
	}
	failed, resolved := r.bodies[2], r.bodies[3]
	if failed["event_action"] != "trigger" || resolved["event_action"] != "resolve" || failed["dedup_key"] != resolved["dedup_key"] || failed["routing_key"] != "R0UT1NG" {
		t.Errorf("PagerDuty is told %v, then %v", failed, resolved)
	}
	if payload, _ := failed["payload"].(map[string]any); payload["severity"] != "error" || payload["source"] != "shops/shop" {
		t.Errorf("the incident is %v", payload)
	}
	if r.bodies[4]["kind"] != "Failed" || r.bodies[4]["id"] != "a" || r.bodies[4]["revision"] != "9b2e" {
		t.Errorf("the webhook is told %v", r.bodies[4])
	}
}

// No error tells the address or the key, and no receiver sends a notice elsewhere.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, 0)
	redirects := httptest.NewTLSServer(http.RedirectHandler(elsewhere.url, http.StatusTemporaryRedirect))
	t.Cleanup(redirects.Close)
	gone := httptest.NewTLSServer(nil)
	gone.Close()
	bad := newReceiver(t, 1)
	for name, to := range map[string]Receiver{
		"an answer":         {TypeSlack, bad.url},
		"nobody":            {TypeSlack, gone.URL + "/SECRET"},
		"no address":        {TypeWebhook, "://SECRET"},
		"not encrypted":     {TypeWebhook, "http://example.com/SECRET"},
		"a forwarded place": {TypeWebhook, redirects.URL + "/SECRET"},
	} {
		problem := try(t, NewCourier(bad.client), to, notice("a", KindFailed))
		if problem == "" || strings.Contains(problem, "SECRET") {
			t.Errorf("%s: %q", name, problem)
		}
	}
	if len(elsewhere.bodies) != 0 {
		t.Error("a notice went elsewhere")
	}
}

// A courier keeps what became of a try until it was stored, and tries once at a time.
func TestCourier(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 1)
	c := NewCourier(r.client)
	to, n := Receiver{TypeWebhook, r.url}, notice("a", KindStarted)
	wait := func() string {
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if problem, ok := c.Result("a"); ok {
				return problem
			}
		}
		t.Fatal("in vain")
		return ""
	}
	for _, want := range []string{"it answers 502 Bad Gateway", ""} {
		c.Send("a", to, n)
		c.Send("a", to, n)
		if problem := wait(); problem != want {
			t.Errorf("%q, want %q", problem, want)
		}
		c.Send("a", to, n)
		c.Forget("a")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bodies) != 2 || slices.ContainsFunc(r.bodies, func(b map[string]any) bool { return b["id"] != "a" }) {
		t.Errorf("it was told %v", r.bodies)
	}
}
