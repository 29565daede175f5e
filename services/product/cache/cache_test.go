package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/commercestack/commercestack/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a catalog whose changes the test decides.
type source struct {
	mutex    sync.Mutex
	version  int64
	products []uuid.UUID
	err      error
}

func (s *source) Changes(context.Context, time.Time) (int64, []uuid.UUID, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.version, s.products, s.err
}

type bench struct {
	*Cache
	source *source
	now    time.Time
	loads  int
	fail   error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{source: &source{version: 1}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	b.Cache, err = New(Config{Source: b.source, Now: func() time.Time { return b.now }, Logger: slog.New(slog.DiscardHandler), MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b.Refresh(t.Context())
	return b
}

// read reads one product and returns how often it was loaded for that.
func (b *bench) read(t *testing.T, id uuid.UUID) int {
	t.Helper()
	before := b.loads
	entry, err := b.Product(t.Context(), id.String(), func(context.Context) (*Entry, error) {
		b.loads++
		return &Entry{Message: []byte("m"), ProductID: id}, b.fail
	})
	if err != nil || entry.ProductID != id {
		t.Fatalf("%v, %v", entry, err)
	}
	return b.loads - before
}

func TestProductStaysUntilSomethingHappens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, other := uuid.New(), uuid.New()
	watched := func(d time.Duration) {
		b.now = b.now.Add(d)
		b.Refresh(t.Context())
	}
	for _, step := range []struct {
		name   string
		happen func()
		loads  int
	}{
		{"first", func() {}, 1},
		{"again", func() {}, 0},
		{"after half a minute", func() { watched(30 * time.Second) }, 0},
		{"another product's stock", func() { b.source.products = []uuid.UUID{other}; watched(time.Second) }, 0},
		{"its stock", func() { b.source.products = []uuid.UUID{id}; watched(time.Second); b.source.products = nil }, 1},
		{"the catalog's version", func() { b.source.version++; watched(time.Second) }, 1},
		{"too old", func() { watched(ProductAge + time.Second) }, 1},
		{"dropped here", func() { b.Drop(id) }, 1},
		{"blind for a moment", func() { b.source.err = errors.New("down"); watched(2 * time.Second) }, 0},
		{"blind for long", func() { watched(10 * time.Second) }, 1},
		{"an older version seen late", func() { b.source.err = nil; b.source.version--; watched(time.Second) }, 0},
	} {
		step.happen()
		if got := b.read(t, id); got != step.loads {
			t.Errorf("%s: %d loads, want %d", step.name, got, step.loads)
		}
	}
}

func TestStaleAnswersWhileTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := uuid.New()
	b.read(t, id)
	b.source.version++
	b.Refresh(t.Context())
	b.fail = fault.Unavailable("database", time.Second)
	b.read(t, id) // the old entry
	b.now = b.now.Add(MaxStale + time.Second)
	load := func(context.Context) (*Entry, error) { return nil, b.fail }
	if _, err := b.Product(t.Context(), id.String(), load); !errors.Is(err, b.fail) {
		t.Errorf("an answer older than any: %v", err)
	}
	b.now = b.now.Add(-MaxStale)
	b.fail = fault.NotFound("product", id.String())
	if _, err := b.Product(t.Context(), id.String(), load); !errors.Is(err, b.fail) {
		t.Errorf("a product that is gone: %v", err)
	}
}

func TestReadersShareOneLoadAndKeepTheirDeadlines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var loads atomic.Int32
	release := make(chan struct{})
	load := func(ctx context.Context) (*Entry, error) {
		loads.Add(1)
		<-release
		return &Entry{}, ctx.Err()
	}
	hurried, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := b.List(hurried, "q", load); !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
	})
	for range 20 {
		group.Go(func() {
			if _, err := b.List(t.Context(), "q", load); err != nil {
				t.Errorf("who waited got %v", err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(release)
	group.Wait()
	if n := loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := newLocal(64 << 10)
	for i := range 2000 {
		l.put(fmt.Sprint(i), &Entry{JSON: make([]byte, 500), ProductID: uuid.New()}, time.Now(), 1)
	}
	var bytes, entries, ids int64
	for i := range l.parts {
		p := &l.parts[i]
		bytes += p.bytes
		entries += int64(p.order.Len())
		ids += int64(len(p.byID))
		if p.order.Len() != len(p.byKey) {
			t.Error("list and map differ")
		}
	}
	if bytes > 64<<10+shards*1000 || entries == 0 || ids != entries {
		t.Errorf("%d bytes in %d entries, %d ids", bytes, entries, ids)
	}
	l.put("same", &Entry{JSON: []byte("a")}, time.Now(), 1)
	l.put("same", &Entry{JSON: []byte("b")}, time.Now(), 1)
	if entry, _, _ := l.get("same"); string(entry.JSON) != "b" {
		t.Errorf("the second put left %s", entry.JSON)
	}
}

func TestSharedFormat(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123)
	entry := &Entry{Message: []byte("m"), JSON: []byte(`{"a":1}`), Etag: `"1"`, ProductID: uuid.New()}
	data := encode(entry, at)
	got, loaded := decode(data)
	if got == nil || !bytes.Equal(got.JSON, entry.JSON) || !bytes.Equal(got.Message, entry.Message) || got.Etag != entry.Etag ||
		got.ProductID != entry.ProductID || !loaded.Equal(at) {
		t.Errorf("%+v at %s", got, loaded)
	}
	for n := range data {
		if got, _ := decode(data[:n]); got != nil {
			t.Errorf("%d of %d bytes decode", n, len(data))
		}
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := New(Config{Source: &source{}, Registry: registry}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Source: &source{}, Registry: registry}); err == nil {
		t.Error("the same metrics were registered twice")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(&Entry{Message: []byte("m"), JSON: []byte("{}"), Etag: `"1"`}, time.Now()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entry, _ := decode(data); entry != nil && len(entry.Message)+len(entry.JSON)+len(entry.Etag) > len(data) {
			t.Error("more came out than went in")
		}
	})
}
