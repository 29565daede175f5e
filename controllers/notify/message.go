package notify

import (
	"fmt"
	"strings"
)

// The types of receivers, as in the spec.
const (
	TypeSlack     = "Slack"
	TypePagerDuty = "PagerDuty"
	TypeWebhook   = "Webhook"
)

// pagerDutyURL takes events of version 2.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// Text is the notice in a sentence.
func (n Notice) Text() string {
	what := map[Kind]string{
		KindStarted: "is being rolled out", KindAwaitingApproval: "waits for approval", KindPaused: "is paused",
		KindPromoted: "serves all customers", KindFailed: "failed and does not serve",
	}[n.Kind]
	text := fmt.Sprintf("%s/%s: revision %s (version %s) %s", n.Namespace, n.Stack, n.Revision, n.Version, what)
	if n.Reason != "" {
		text += ": " + n.Reason
	}
	return text
}

// escape keeps Slack from reading a text as links and mentions.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// message is what is sent to a receiver.
func message(r Receiver, n Notice) any {
	switch r.Type {
	case TypeSlack:
		icon := map[Kind]string{KindFailed: ":red_circle: ", KindPaused: ":warning: ", KindAwaitingApproval: ":raised_hand: ", KindPromoted: ":white_check_mark: "}[n.Kind]
		return map[string]any{"text": icon + escape.Replace(n.Text())}
	case TypePagerDuty:
		return pagerDuty(r, n)
	default:
		return n
	}
}

// pagerDuty is one incident for each stack: a failure opens it, or adds to the open
// one, and the next success resolves it. One that is sent twice changes nothing.
func pagerDuty(r Receiver, n Notice) any {
	event := map[string]any{
		"routing_key": r.Secret, "dedup_key": "commercestack/" + n.Namespace + "/" + n.Stack + "/rollout", "event_action": "trigger",
	}
	if n.Kind == KindPromoted {
		event["event_action"] = "resolve"
		return event
	}
	severity := map[Kind]string{KindFailed: "error", KindPaused: "warning"}[n.Kind]
	if severity == "" {
		severity = "info"
	}
	event["payload"] = map[string]any{
		"summary": limit(n.Text(), 1024), "source": n.Namespace + "/" + n.Stack, "severity": severity, "timestamp": n.At.UTC(),
		"component": "rollout", "custom_details": map[string]any{"revision": n.Revision, "version": n.Version, "reason": n.Reason},
	}
	return event
}

func limit(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
