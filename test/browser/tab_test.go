package browser_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a page in a browser profile of its own. Whatever the browser complains
// about, a violated content security policy above all, fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp hands a tab on as a context

	mu         sync.Mutex
	complaints []string
	// expected are complaints that the test provokes.
	expected []string
}

func newTab(t *testing.T, width int64) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	b := &tab{t: t, ctx: ctx}
	var listeners sync.WaitGroup
	listen(&listeners, b, log.EntryAdded, func(e log.EventEntryAdded) string {
		if e.Entry.Level != log.EntryLevelError && e.Entry.Level != log.EntryLevelWarning {
			return ""
		}
		return fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	})
	listen(&listeners, b, runtime.ExceptionThrown, func(e runtime.EventExceptionThrown) string { return e.ExceptionDetails.Text })
	t.Cleanup(func() {
		if t.Failed() {
			b.dump()
		}
		closeTab()
		cancel()
		listeners.Wait()
		for _, complaint := range b.complaints {
			if !b.allowed(complaint) {
				t.Errorf("the browser complains: %s", complaint)
			}
		}
	})
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, 900))
	return b
}

// listen notes what an event complains about until the tab is closed.
func listen[E any](group *sync.WaitGroup, b *tab, event cdp.Event[E], complaint func(E) string) {
	events := chromedp.Events(b.ctx, event)
	group.Go(func() {
		for e, err := range events {
			if err != nil {
				return
			}
			if text := complaint(e); text != "" {
				b.mu.Lock()
				b.complaints = append(b.complaints, text)
				b.mu.Unlock()
			}
		}
	})
}

func (b *tab) allowed(complaint string) bool {
	for _, expected := range b.expected {
		if strings.Contains(complaint, expected) {
			return true
		}
	}
	return false
}

// do runs actions and ends the test when one fails.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// get runs an action that answers something.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return value
}

// open loads a page of the shop.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address+path), chromedp.WaitReady(chromedp.CSS("main, h1")))
}

// send submits the form of an element and waits for the next page.
func (b *tab) send(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)); err != nil {
		b.t.Fatalf("click %s: %v", selector, err)
	}
}

func (b *tab) fill(values map[string]string) {
	b.t.Helper()
	for selector, value := range values {
		b.do(chromedp.SetValue(chromedp.CSS(selector), value))
	}
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(get(b, chromedp.Text(chromedp.CSS(selector))))
}

// wait waits until the text of an element contains want.
func (b *tab) wait(selector, want string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	text := ""
	for time.Now().Before(deadline) {
		script := fmt.Sprintf("(document.querySelector(%q) || {innerText: ''}).innerText", selector)
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script))
		if err == nil && strings.Contains(found, want) {
			return
		}
		text = found
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("%s is %q and never contains %q", selector, text, want)
}

// waitFor waits until a condition in JavaScript holds.
func (b *tab) waitFor(condition string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition)); err == nil && holds {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("never holds: %s", condition)
}

func (b *tab) path() string {
	b.t.Helper()
	u, err := url.Parse(get(b, chromedp.Location()))
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Path
}

// fits fails when the page is wider than the window.
func (b *tab) fits() {
	b.t.Helper()
	over := get(b, chromedp.Evaluate[string](`(() => {
		const wide = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= wide) return "";
		const found = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > wide + 1);
		return found.slice(-3).map(e => e.outerHTML.slice(0, 120)).join(" | ") || "something";
	})()`))
	if over != "" {
		b.t.Errorf("%s is wider than the window: %s", b.path(), over)
	}
}

// shoot keeps a picture of the whole page when pictures are wanted.
func (b *tab) shoot(name string) {
	b.t.Helper()
	folder := os.Getenv("COMMERCE_BROWSER_SCREENSHOTS")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), get(b, chromedp.FullScreenshot(100)), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// dump tells what the failed page says.
func (b *tab) dump() {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.location + ' says: ' + document.body.innerText"))
	if err == nil {
		b.t.Log(text)
	}
}
