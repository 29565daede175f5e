package gateway

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/identity"
)

const (
	// routesRecheck is how long the file is believed before it is looked at again.
	routesRecheck = time.Second
	// maxRoutesFile bounds the file: more is not a routing table.
	maxRoutesFile = 1 << 20
)

// canary is the other version of a component and the share of callers it gets.
type canary struct {
	route   canaryRoute
	seed    uint64
	handler http.Handler
}

// canaries is the routing table as the file said when it last made sense. It is
// safe for concurrent use. A nil table has no canaries.
type canaries struct {
	path   string
	known  []string
	build  func(canaryRoute) http.Handler
	logger *slog.Logger
	now    func() time.Time

	current atomic.Pointer[map[string]*canary]
	next    atomic.Int64 // when the file is looked at again, in Unix nanoseconds
	reading sync.Mutex
	// seen is what was read last, good or bad, and problem what reading it told, so that each change is logged once.
	seen    []byte
	problem string
}

// newCanaries reads the table of a file. A file that makes no sense at start is
// logged like a later one: the gateway serves without canaries.
func newCanaries(path string, known []string, build func(canaryRoute) http.Handler, logger *slog.Logger, now func() time.Time) *canaries {
	slices.Sort(known)
	c := &canaries{path: path, known: known, build: build, logger: logger, now: now}
	c.current.Store(&map[string]*canary{})
	if path != "" {
		c.reload()
	}
	return c
}

// fresh returns what the file says, at most routesRecheck old.
func (c *canaries) fresh() map[string]*canary {
	if c.path == "" || c.now().UnixNano() < c.next.Load() || !c.reading.TryLock() {
		return *c.current.Load()
	}
	defer c.reading.Unlock()
	c.reload()
	return *c.current.Load()
}

// reload looks at the file. The whole content is compared: the kubelet swaps a
// symbolic link, which leaves the file's own times as they were.
func (c *canaries) reload() {
	c.next.Store(c.now().Add(routesRecheck).UnixNano())
	content, err := readRoutes(c.path)
	if err != nil {
		c.refuse(err)
		return
	}
	if c.seen != nil && bytes.Equal(content, c.seen) {
		return
	}
	c.seen, c.problem = content, ""
	var routes []canaryRoute
	if len(content) > 0 {
		if routes, err = parseRoutes(content, c.known); err != nil {
			c.refuse(err)
			return
		}
	}
	c.adopt(routes)
}

// readRoutes returns the content of the file; nothing when there is none.
func readRoutes(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []byte{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxRoutesFile+1))
	if err == nil && len(content) > maxRoutesFile {
		err = errors.New("the file is too large for a routing table")
	}
	if err == nil && len(content) == 0 {
		err = errors.New("the file is empty")
	}
	return content, err
}

// refuse keeps the table and says why, once.
func (c *canaries) refuse(err error) {
	if c.problem == err.Error() {
		return
	}
	c.problem = err.Error()
	c.logger.Warn("the routing table is refused; the last one stays in use", slog.String("file", c.path), slog.Any("cause", err))
}

// adopt puts a table into use. A canary whose address stays keeps its circuit breaker.
func (c *canaries) adopt(routes []canaryRoute) {
	old := *c.current.Load()
	table := make(map[string]*canary, len(routes))
	for _, route := range routes {
		next := &canary{route: route, seed: mix(hashText(offset, route.url.String()))}
		if known := old[route.component]; known != nil && *known.route.url == *route.url {
			next.handler = known.handler
		} else {
			next.handler = c.build(route)
		}
		table[route.component] = next
		c.logger.Info("canary", slog.String("component", route.component), slog.String("url", route.url.String()), slog.Int("weight", route.weight))
	}
	for name := range old {
		if table[name] == nil {
			c.logger.Info("canary is gone", slog.String("component", name))
		}
	}
	c.current.Store(&table)
}

// choose returns the canary that serves the caller, nil for the stable version.
// One caller stays with one version as long as the weight does not leave it
// out: its place is a hash, and a larger weight only adds callers.
func (c *canaries) choose(component string, caller identity.Identity) http.Handler {
	if c == nil {
		return nil
	}
	table := c.fresh()
	if len(table) == 0 {
		return nil
	}
	chosen := table[component]
	if chosen == nil || !chosen.takes(callerKey(caller)) {
		return nil
	}
	return chosen.handler
}

// callerKey tells callers apart: by user, else by what a guest shows, else by
// address. It is empty when nothing is known.
func callerKey(caller identity.Identity) string {
	switch {
	case caller.UserID != "":
		return caller.UserID
	case caller.GuestToken != "":
		return caller.GuestToken
	default:
		return limitAddress(caller.ClientIP)
	}
}

func (c *canary) takes(key string) bool {
	switch {
	case c.route.weight <= 0:
		return false
	case c.route.weight >= fullWeight:
		return true
	case key == "":
		return rand.IntN(fullWeight) < c.route.weight //nolint:gosec // a traffic share needs no secret randomness
	default:
		return mix(hashText(c.seed, key))%fullWeight < uint64(c.route.weight)
	}
}

const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

// hashText is FNV-1a from a seed, the same in every gateway.
func hashText(seed uint64, text string) uint64 {
	for i := range len(text) {
		seed = (seed ^ uint64(text[i])) * prime
	}
	return seed
}

// mix spreads a hash over all bits; FNV alone hardly moves the upper ones for keys that differ at the end.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

var canaryWeight = prometheus.NewDesc("commerce_gateway_canary_weight",
	"Share of a component's callers that its canary gets, in percent; 0 without one.", []string{"component"}, nil)

// Describe implements prometheus.Collector.
func (c *canaries) Describe(to chan<- *prometheus.Desc) { to <- canaryWeight }

// Collect implements prometheus.Collector. It tells what is in effect, so it
// looks at the file too: no request may have come since it changed.
func (c *canaries) Collect(to chan<- prometheus.Metric) {
	table := c.fresh()
	for _, name := range c.known {
		weight := 0
		if chosen := table[name]; chosen != nil {
			weight = chosen.route.weight
		}
		to <- prometheus.MustNewConstMetric(canaryWeight, prometheus.GaugeValue, float64(weight), name)
	}
}
