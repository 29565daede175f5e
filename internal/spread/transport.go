package spread

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how many connections there are and how long they are used.
type Config struct {
	// Lanes is the number of connections to each host; 4.
	Lanes int
	// Life is how long a connection is used, up to a fourth more or less; 20 seconds.
	Life time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

const (
	defaultLanes = 4
	defaultLife  = 20 * time.Second
	// jitter is the part of a life by which lives differ, so that lanes and processes do not move together.
	jitter = 4
	// Connections out of use are closed once they are idle; they are looked at this often, for this many times.
	retireEvery  = 15 * time.Second
	retireChecks = 20
)

// Transport implements http.RoundTripper. It is safe for concurrent use.
type Transport struct {
	config Config
	make   func() *http.Transport

	adding sync.Mutex
	hosts  atomic.Pointer[map[string]*host]
}

// New returns a transport whose connections are made by transports of newLane.
func New(config Config, newLane func() *http.Transport) *Transport {
	config.Lanes, config.Life = cmp.Or(config.Lanes, defaultLanes), cmp.Or(config.Life, defaultLife)
	if config.Now == nil {
		config.Now = time.Now
	}
	t := &Transport{config: config, make: newLane}
	t.hosts.Store(&map[string]*host{})
	return t
}

// host is the connections to one address.
type host struct {
	next  atomic.Uint32
	lanes []lane
}

// lane is one connection and its follower.
type lane struct {
	current atomic.Pointer[stretch]
	// moving is held by the one request that tries a new connection.
	moving atomic.Bool
}

// stretch is the time in which a lane has one connection.
type stretch struct {
	transport *http.Transport
	until     time.Time
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	h := t.host(r.URL.Host)
	l := &h.lanes[int(h.next.Add(1))%len(h.lanes)]
	old := l.current.Load()
	if old != nil && t.config.Now().Before(old.until) {
		return old.transport.RoundTrip(r)
	}
	if old == nil {
		fresh := t.stretch()
		if !l.current.CompareAndSwap(nil, fresh) {
			fresh = l.current.Load()
		}
		return fresh.transport.RoundTrip(r)
	}
	if !l.moving.CompareAndSwap(false, true) {
		return old.transport.RoundTrip(r)
	}
	defer l.moving.Store(false)
	return t.move(l, old, r)
}

// move sends the request over a new connection and lets the lane follow when
// the connection is good.
func (t *Transport) move(l *lane, old *stretch, r *http.Request) (*http.Response, error) {
	if l.current.Load() != old {
		return l.current.Load().transport.RoundTrip(r) // another request has moved it meanwhile
	}
	fresh := t.stretch()
	response, sent, err := Attempt(fresh.transport, r)
	if !sent && r.Context().Err() == nil {
		// There is no new connection now: what exists goes on, and is asked again after a while.
		l.current.CompareAndSwap(old, &stretch{transport: old.transport, until: t.config.Now().Add(t.life())})
		return old.transport.RoundTrip(Again(r))
	}
	if err != nil {
		retire(fresh.transport, retireChecks)
		if !sent && r.Body != nil {
			_ = r.Body.Close()
		}
		return response, err
	}
	l.current.Store(fresh)
	retire(old.transport, retireChecks)
	return response, nil
}

// retire closes the connections of a transport as they become idle.
func retire(old *http.Transport, checks int) {
	old.CloseIdleConnections()
	if checks > 0 {
		time.AfterFunc(retireEvery, func() { retire(old, checks-1) })
	}
}

func (t *Transport) stretch() *stretch {
	return &stretch{transport: t.make(), until: t.config.Now().Add(t.life())}
}

func (t *Transport) life() time.Duration {
	part := t.config.Life / jitter
	return t.config.Life - part + rand.N(2*part+1) //nolint:gosec // a spread over time needs no secret randomness
}

// host finds the connections to an address. Addresses come from the
// configuration, so their number is bounded.
func (t *Transport) host(address string) *host {
	if h, ok := (*t.hosts.Load())[address]; ok {
		return h
	}
	t.adding.Lock()
	defer t.adding.Unlock()
	known := *t.hosts.Load()
	if h, ok := known[address]; ok {
		return h
	}
	next := maps.Clone(known)
	next[address] = &host{lanes: make([]lane, t.config.Lanes)}
	t.hosts.Store(&next)
	return next[address]
}

// CloseIdleConnections closes what nobody uses now.
func (t *Transport) CloseIdleConnections() {
	for _, h := range *t.hosts.Load() {
		for i := range h.lanes {
			if current := h.lanes[i].current.Load(); current != nil {
				current.transport.CloseIdleConnections()
			}
		}
	}
}
