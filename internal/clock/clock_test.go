package clock_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/commercestack/commercestack/internal/clock"
)

var errAway = errors.New("away")

// database answers after a while with its time.
type database struct {
	way   time.Duration
	mu    sync.Mutex
	ahead time.Duration
	err   error
}

func (d *database) QueryRow(context.Context, string, ...any) pgx.Row { return d }

func (d *database) Scan(into ...any) error {
	time.Sleep(d.way)
	d.mu.Lock()
	ahead, err := d.ahead, d.err
	d.mu.Unlock()
	if at, ok := into[0].(*time.Time); ok {
		*at = time.Now().Add(ahead)
	}
	time.Sleep(d.way)
	return err
}

// set steps the clock of the database, or lets it be away.
func (d *database) set(ahead time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ahead, d.err = ahead, err
}

// TestStepsOfTheProcessChangeNothing steps the clock of the process: the time
// stays the database's.
func TestStepsOfTheProcessChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		wrong := -20 * time.Minute
		c := clock.New(func() time.Time { return time.Now().Add(wrong) }, slog.New(slog.NewTextHandler(&log, nil)))
		if got := c.Now(); !got.Equal(time.Now().Add(wrong)) {
			t.Errorf("before it follows anything: %s", got)
		}
		db := &database{way: 10 * time.Millisecond}
		if err := c.Follow(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		same := func(what string) {
			t.Helper()
			if difference := time.Until(c.Now()); difference.Abs() > db.way {
				t.Errorf("%s: %s off", what, difference)
			}
		}
		same("a wrong clock")
		if got := testutil.ToFloat64(c.Collector()); got != wrong.Seconds() {
			t.Errorf("ahead by %g s", got)
		}
		if !strings.Contains(log.String(), "ahead_seconds=-1200") {
			t.Errorf("the log: %s", log.String())
		}
		time.Sleep(time.Hour)
		same("an hour later")
	})
}

// TestTheDatabaseIsFollowed steps the database's clock, and lets it be away.
func TestTheDatabaseIsFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := clock.New(time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		db := &database{way: 10 * time.Millisecond}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, db) }()
		time.Sleep(16 * time.Second)
		// Less than the way to it explains.
		db.set(5*time.Millisecond, nil)
		time.Sleep(15 * time.Second)
		if ahead := time.Until(c.Now()); ahead != 0 {
			t.Errorf("it moved by %s", ahead)
		}
		db.set(time.Hour, nil)
		time.Sleep(15 * time.Second)
		if ahead := time.Until(c.Now()); ahead != time.Hour {
			t.Errorf("after a step of an hour it is %s ahead", ahead)
		}
		synctest.Wait()
		if !strings.Contains(log.String(), "stepped") {
			t.Errorf("the log: %s", log.String())
		}
		db.set(0, errAway)
		time.Sleep(15 * time.Second)
		if ahead := time.Until(c.Now()); ahead != time.Hour {
			t.Errorf("without a database it is %s ahead", ahead)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
