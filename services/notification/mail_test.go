package notification_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/services/notification"
)

var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func TestFailed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attempts, want int
		status         notification.Status
		pause          time.Duration
	}{
		"first try":                  {0, 1, notification.StatusQueued, 30 * time.Second},
		"second try":                 {1, 2, notification.StatusQueued, 5 * time.Minute},
		"third try":                  {2, 3, notification.StatusDead, 0},
		"never beyond what is tried": {3, 3, notification.StatusDead, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := notification.Mail{Status: notification.StatusQueued, Attempts: test.attempts, NextAttemptTime: noon, To: "Ada@Example.com"}
			got := before.Failed(noon, errors.New("550 <ada@example.COM> is unknown, Ada@Example.com"))
			if got.Attempts != test.want || got.Status != test.status {
				t.Errorf("%d attempts, %s", got.Attempts, got.Status)
			}
			if got.LastError != "550 <the recipient> is unknown, the recipient" {
				t.Errorf("last error %q", got.LastError)
			}
			if pause := got.NextAttemptTime.Sub(noon); pause < test.pause || pause > test.pause+test.pause/4 {
				t.Errorf("waits %v, want %v and a quarter at most", pause, test.pause)
			}
			if before.Attempts != test.attempts {
				t.Error("the mail itself changed")
			}
		})
	}
}

func TestDelivered(t *testing.T) {
	t.Parallel()
	got := notification.Mail{Status: notification.StatusQueued, Attempts: 2, LastError: "earlier"}.Delivered(noon, "ref")
	if got.Status != notification.StatusSent || got.Attempts != 3 || got.ProviderReference != "ref" || got.LastError != "" || !got.SendTime.Equal(noon) {
		t.Errorf("%+v", got)
	}
	if again := got.Delivered(noon, "ref"); again.Attempts != notification.MaxAttempts {
		t.Errorf("%d attempts", again.Attempts)
	}
}

func TestAnyErrorIsStoredShortAndWithoutTheAddress(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		address := rapid.StringMatching(`[a-z+.]{1,8}@[a-z]{1,8}\.de`).Draw(rt, "address")
		text := rapid.String().Draw(rt, "before") + address + strings.Repeat(rapid.String().Draw(rt, "after"), 100)
		got := notification.Mail{To: address}.Failed(noon, errors.New(text)).LastError
		if strings.Contains(strings.ToLower(got), address) || utf8.RuneCountInString(got) > 501 {
			rt.Fatalf("%d characters: %q", utf8.RuneCountInString(got), got)
		}
	})
}
