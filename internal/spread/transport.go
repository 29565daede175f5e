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
	// tryAgain is how long a lane that lost its connection is left alone, unless there is no other.
	tryAgain = time.Second
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
	// waiting is how many requests have no answer yet.
	waiting atomic.Int64
}

// stretch is the time in which a lane has one connection.
type stretch struct {
	transport *http.Transport
	until     time.Time
	// lost is when the connection failed, in nanoseconds, or 0. The next request that
	// may try another connection comes a while after that.
	lost atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	h := t.host(r.URL.Host)
	first := h.quietest(t.config.Now(), nil)
	for l := first; ; {
		response, sent, err := t.through(l, r)
		if err == nil || sent || r.Context().Err() != nil {
			if err != nil && !sent && r.Body != nil {
				_ = r.Body.Close()
			}
			return response, err
		}
		// Nothing was sent: another connection may have more luck, whatever the request is.
		next := h.quietest(t.config.Now(), l)
		if next == nil || next == first || next.broken() {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, err
		}
		l, r = next, Again(r)
	}
}

// quietest is the lane on which the fewest requests wait for an answer. One whose
// peer is dead is avoided so long before anybody knows that it is. Lanes that lost
// their connection are taken when it is time to try them again, and when there is
// no other. The lane that was tried is left out.
func (h *host) quietest(now time.Time, tried *lane) *lane {
	start := int(h.next.Add(1))
	var best, last *lane
	for i := range h.lanes {
		l := &h.lanes[(start+i)%len(h.lanes)]
		switch {
		case l == tried:
		case !l.usable(now):
			last = cmp.Or(last, l)
		case best == nil || l.waiting.Load() < best.waiting.Load():
			best = l
		}
	}
	return cmp.Or(best, last)
}

// broken tells whether the lane has lost its connection.
func (l *lane) broken() bool {
	current := l.current.Load()
	return current != nil && current.lost.Load() != 0
}

// usable holds for a lane with a connection, and for one without that should be tried.
func (l *lane) usable(now time.Time) bool {
	current := l.current.Load()
	if current == nil {
		return true
	}
	lost := current.lost.Load()
	return lost == 0 || !l.moving.Load() && now.Sub(time.Unix(0, lost)) >= tryAgain
}

// through sends the request over the lane.
func (t *Transport) through(l *lane, r *http.Request) (response *http.Response, sent bool, err error) {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	now := t.config.Now()
	old := l.current.Load()
	if old == nil {
		l.current.CompareAndSwap(nil, t.stretch())
		old = l.current.Load()
	}
	over := !now.Before(old.until) || old.lost.Load() != 0
	if !over || !l.moving.CompareAndSwap(false, true) {
		return t.send(old, r)
	}
	defer l.moving.Store(false)
	if current := l.current.Load(); current != old {
		return t.send(current, r) // another request has moved it meanwhile
	}
	return t.move(l, old, r)
}

// send sends the request over a connection, and remembers when there is none.
func (t *Transport) send(s *stretch, r *http.Request) (*http.Response, bool, error) {
	response, sent, unreadable, err := attempt(s.transport, r)
	if err != nil && !unreadable && r.Context().Err() == nil {
		s.lost.Store(t.config.Now().UnixNano())
	}
	return response, sent, err
}

// move sends the request over a new connection and lets the lane follow when
// the connection is good.
func (t *Transport) move(l *lane, old *stretch, r *http.Request) (*http.Response, bool, error) {
	fresh := t.stretch()
	response, sent, err := Attempt(fresh.transport, r)
	if !sent && r.Context().Err() == nil {
		if old.lost.Load() != 0 {
			old.lost.Store(t.config.Now().UnixNano())
			return nil, false, err
		}
		// There is no new connection now: what exists goes on, and is asked again after a while.
		l.current.CompareAndSwap(old, &stretch{transport: old.transport, until: t.config.Now().Add(t.life())})
		return t.send(old, Again(r))
	}
	if err != nil {
		retire(fresh.transport, retireChecks)
		return response, sent, err
	}
	l.current.Store(fresh)
	retire(old.transport, retireChecks)
	return response, true, nil
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
