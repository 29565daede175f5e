package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// tryTimeout bounds one try.
const tryTimeout = 10 * time.Second

// Receiver is whom notices are delivered to.
type Receiver struct {
	// Type is TypeSlack, TypePagerDuty or TypeWebhook.
	Type string
	// Secret is the address of Slack and of a webhook, the routing key of PagerDuty.
	Secret string
}

// Courier delivers in the background. What became of a try is kept until whoever
// asked for it stored that.
type Courier struct {
	client *http.Client
	// pagerDuty is the address of PagerDuty.
	pagerDuty string

	mu     sync.Mutex
	flying map[string]bool
	landed map[string]string
}

// NewCourier returns a Courier that sends by a client, nil for one of its own.
func NewCourier(client *http.Client) *Courier {
	c := http.Client{}
	if client != nil {
		c = *client
	}
	c.Timeout = tryTimeout
	// An address that sends elsewhere would get what is meant for nobody else.
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Courier{client: &c, pagerDuty: pagerDutyURL, flying: map[string]bool{}, landed: map[string]string{}}
}

// Send begins a try under a key, unless one runs or its result was not forgotten yet.
func (c *Courier) Send(key string, r Receiver, n Notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ended := c.landed[key]; ended || c.flying[key] {
		return
	}
	c.flying[key] = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
		defer cancel()
		problem := ""
		if err := c.try(ctx, r, n); err != nil {
			problem = err.Error()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flying, key)
		c.landed[key] = problem
	}()
}

// Result is what became of a try: the problem is empty when it was delivered, ok is
// false while it runs.
func (c *Courier) Result(key string) (problem string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	problem, ok = c.landed[key]
	return problem, ok
}

// Forget drops a result.
func (c *Courier) Forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.landed, key)
}

// try delivers once. No error holds the address or the key: both are secrets.
func (c *Courier) try(ctx context.Context, r Receiver, n Notice) error {
	address := r.Secret
	if r.Type == TypePagerDuty {
		address = c.pagerDuty
	}
	if parsed, err := url.Parse(address); err != nil || parsed.Scheme != "https" || parsed.Host == "" {
		return errors.New("the address does not begin with https://: correct it in the Secret")
	}
	body, err := json.Marshal(message(r, n))
	if err != nil {
		return errors.New("the message cannot be encoded")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not one: correct it in the Secret")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", n.ID)
	response, err := c.client.Do(request)
	if err != nil {
		if quoting, ok := errors.AsType[*url.Error](err); ok {
			err = quoting.Err
		}
		return fmt.Errorf("it cannot be reached: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return nil
}
