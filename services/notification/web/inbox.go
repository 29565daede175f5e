// Package web shows captured mail in development.
package web

import (
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/commercestack/commercestack/services/notification/store"
)

const maxMessages = 200

// Lister lists captured mails, newest first.
type Lister interface {
	List(ctx context.Context, to string, limit int) ([]store.Captured, error)
}

// Inbox serves captured mail as JSON, or as a page to browsers.
type Inbox struct {
	mails Lister
}

// NewInbox returns the handler of GET /dev/mail?to=ADDRESS.
func NewInbox(mails Lister) *Inbox { return &Inbox{mails: mails} }

// message is one mail in the form of the REST contract.
type message struct {
	To       string   `json:"to"`
	Subject  string   `json:"subject"`
	Text     string   `json:"text"`
	HTML     string   `json:"html"`
	SentTime string   `json:"sentTime"`
	Links    []string `json:"links"`
}

var link = regexp.MustCompile(`https?://[^\s<>"']+`)

// ServeHTTP implements http.Handler.
func (i *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mails, err := i.mails.List(r.Context(), r.URL.Query().Get("to"), maxMessages)
	if err != nil {
		http.Error(w, "the captured mails cannot be read now", http.StatusServiceUnavailable)
		return
	}
	messages := make([]message, 0, len(mails))
	for _, m := range mails {
		links := []string{}
		for _, found := range link.FindAllString(m.Text, -1) {
			if !slices.Contains(links, found) {
				links = append(links, found)
			}
		}
		messages = append(messages, message{
			To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML, SentTime: m.SendTime.UTC().Format(time.RFC3339Nano), Links: links,
		})
	}
	w.Header().Set("Cache-Control", "no-store")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash+"'; frame-ancestors 'none'")
		_ = page.Execute(w, view{Style: template.CSS(style), Messages: messages}) //nolint:gosec // a constant
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": messages})
}
