package commercestack_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// people are the receivers of notices, one server for all of them.
type people struct {
	mu sync.Mutex
	// fail is how many of the next notices are refused, by path.
	fail map[string]int
	told map[string][]map[string]any
	url  *url.URL
	base http.RoundTripper
}

func newPeople(t *testing.T) *people {
	t.Helper()
	p := &people{fail: map[string]int{}, told: map[string][]map[string]any{}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body := map[string]any{}
		err := json.NewDecoder(request.Body).Decode(&body)
		p.mu.Lock()
		defer p.mu.Unlock()
		path := request.URL.Path
		if p.fail[path] > 0 || err != nil {
			p.fail[path]--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p.told[path] = append(p.told[path], body)
	}))
	t.Cleanup(server.Close)
	var err error
	if p.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	p.base = server.Client().Transport
	return p
}

// RoundTrip brings everything here, what is meant for PagerDuty too.
func (p *people) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Host = p.url.Host
	return p.base.RoundTrip(request)
}

// at are the notices that a path was told, by a field.
func (p *people) at(path, field string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, body := range p.told[path] {
		text, _ := body[field].(string)
		all = append(all, text)
	}
	return all
}

func withPeople(p *people) option {
	return func(w *world) { w.http = &http.Client{Transport: p} }
}

const pagerDutyPath = "/v2/enqueue"

// notified makes the receivers of a stack and their Secrets; one has none.
func (w *world) notified(t *testing.T) func(*v1alpha1.CommerceStack) {
	t.Helper()
	w.createSecret(t, "team", map[string]string{"url": "https://slack.example/services/SECRET"})
	w.createSecret(t, "hook", map[string]string{"url": "https://hook.example/hook"})
	w.createSecret(t, "pager", map[string]string{"routingKey": "R0UT1NGSECRET"})
	receiver := func(name, kind string) v1alpha1.NotificationSpec {
		return v1alpha1.NotificationSpec{Name: name, Type: kind, SecretRef: v1alpha1.SecretRef{Name: name}}
	}
	return func(s *v1alpha1.CommerceStack) {
		s.Spec.Rollout.Notifications = []v1alpha1.NotificationSpec{
			receiver("team", "Slack"), receiver("hook", "Webhook"), receiver("pager", "PagerDuty"), receiver("missing", "Webhook"),
		}
	}
}

// delivered holds when only the receiver without a Secret was not told everything.
func delivered(stack *v1alpha1.CommerceStack) bool {
	for _, receiver := range stack.Status.Notifications {
		if (receiver.Waiting > 0) != (receiver.Name == "missing") {
			return false
		}
	}
	return len(stack.Status.Notifications) == 4
}

// A receiver that fails first is told later, one that is not there holds up nobody,
// and a failure opens an incident that the next success resolves.
func TestPeopleAreToldOfRollouts(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.fail["/hook"], p.fail["/services/SECRET"] = 2, 1
	w, clock, stack := rolling(t, map[string]flaw{"1.1.0": flawCrash}, nil, withPeople(p))
	stack = w.change(t, stack, w.notified(t))
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "rolled back", phase(v1alpha1.RolloutRolledBack))
	if took := stack.Status.Rollout.FinishedAt.Sub(stack.Status.Rollout.StartedAt.Time); took > time.Minute {
		t.Errorf("it took %s to go back", took)
	}
	stack = w.roll(t, clock, stack, "everybody knows of the failure", func(s *v1alpha1.CommerceStack) bool {
		return delivered(s) && len(p.at(pagerDutyPath, "event_action")) == 1
	})
	stack = w.upgrade(t, stack, "1.2.0")
	stack = w.roll(t, clock, stack, "complete", phase(v1alpha1.RolloutComplete))
	w.roll(t, clock, stack, "everybody knows of the success", func(s *v1alpha1.CommerceStack) bool {
		return delivered(s) && len(p.at(pagerDutyPath, "event_action")) == 2
	})

	if got := strings.Join(p.at("/hook", "kind"), " "); got != "Started Failed Started Promoted" {
		t.Errorf("the webhook was told %s", got)
	}
	if got := strings.Join(p.at(pagerDutyPath, "event_action"), " "); got != "trigger resolve" {
		t.Errorf("PagerDuty was told %s", got)
	}
	told := p.at("/services/SECRET", "text")
	if len(told) != 4 || !strings.Contains(told[1], "CrashLoopBackOff") || !strings.Contains(told[1], "1.1.0") || strings.Contains(strings.Join(told, ""), "SECRET") {
		t.Errorf("Slack was told %q", told)
	}
	stack = w.read(t, stack)
	for _, receiver := range stack.Status.Notifications {
		if (receiver.LastError != "") != (receiver.Name == "missing") || strings.Contains(receiver.LastError, "SECRET") {
			t.Errorf("%+v", receiver)
		}
	}
}

// An operator that dies after it delivered and before it stored that delivers once
// more, under the same id.
func TestADyingOperatorTellsAtMostOnceMore(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	var mu sync.Mutex
	deaths, dies := 0, false
	w, clock, stack := rolling(t, nil, nil, withPeople(p), withInterceptor(onWrite(func(_, _, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if name == "shop-rollout" && dies && deaths == 0 {
			deaths++
			return errors.New("the operator died")
		}
		return nil
	})))
	stack = w.change(t, stack, w.notified(t))
	stack = w.upgrade(t, stack, "1.1.0")
	for range 300 {
		mu.Lock()
		dies = len(p.at("/hook", "kind")) == 1 // delivered, and not stored
		mu.Unlock()
		if _, err := w.visit(t.Context(), stack); err != nil {
			w.restart(t)
		}
		w.playCluster(t)
		if stack = w.read(t, stack); stack.Status.Rollout.Phase == v1alpha1.RolloutComplete && delivered(stack) {
			break
		}
		clock.SetTime(clock.Now().Add(tick))
	}
	ids, kinds := p.at("/hook", "id"), strings.Join(p.at("/hook", "kind"), " ")
	if deaths != 1 || kinds != "Started Started Promoted" || ids[0] != ids[1] {
		t.Errorf("after %d deaths the webhook was told %s (%v)", deaths, kinds, ids)
	}
}
