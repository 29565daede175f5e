// Package wake tells loops that work on a table when there is work, through
// PostgreSQL's NOTIFY. One connection listens for everything a process waits
// for, however many components it hosts. A lost connection is made again and
// wakes everybody, since notifications may have been missed; loops also poll,
// so a notification is a matter of speed and never of correctness.
package wake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
)

const (
	// How long a broken connection may go unnoticed.
	checkEvery  = 30 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	closeWithin = time.Second
)

// Signal is woken by notifications on one channel.
type Signal struct {
	c        chan struct{}
	channel  string
	listener *listener
}

// C delivers after the channel was notified; several notifications may give one delivery.
func (s *Signal) C() <-chan struct{} { return s.c }

// Live reports whether notifications arrive at present.
func (s *Signal) Live() bool { return s.listener.live.Load() }

// Wake delivers as a notification would.
func (s *Signal) Wake() {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// Close stops the deliveries. The last Signal of a database closes its connection.
func (s *Signal) Close() { s.listener.leave(s) }

// shared are the listeners of this process by server and database.
var shared = struct {
	sync.Mutex

	listeners map[string]*listener
}{listeners: map[string]*listener{}}

// Listen returns a signal for a channel of db's database. Any role may listen
// to any channel, so the components of a process share one connection.
func Listen(db *postgres.DB, channel string, logger *slog.Logger) *Signal {
	pool := db.Pool().Config()
	config := pool.ConnConfig.Copy()
	key := fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database)
	shared.Lock()
	defer shared.Unlock()
	l, ok := shared.listeners[key]
	if !ok {
		ctx, cancel := context.WithCancel(context.Background())
		l = &listener{
			key: key, config: config, renew: pool.BeforeConnect, logger: logger, cancel: cancel, done: make(chan struct{}),
			changed: make(chan struct{}, 1), signals: map[*Signal]struct{}{},
		}
		config.RuntimeParams["application_name"] = "commerce-wake"
		shared.listeners[key] = l
		go l.run(ctx)
	}
	s := &Signal{c: make(chan struct{}, 1), channel: channel, listener: l}
	l.signals[s] = struct{}{}
	l.change()
	return s
}

// listener is one connection. signals is guarded by shared's mutex.
type listener struct {
	key    string
	config *pgx.ConnConfig
	// renew brings the certificates of config up to date; it may be nil.
	renew   func(context.Context, *pgx.ConnConfig) error
	logger  *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{}
	changed chan struct{}
	live    atomic.Bool
	signals map[*Signal]struct{}
}

func (l *listener) change() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *listener) leave(s *Signal) {
	shared.Lock()
	_, member := l.signals[s]
	delete(l.signals, s)
	last := member && len(l.signals) == 0
	if last {
		delete(shared.listeners, l.key)
	}
	shared.Unlock()
	if last {
		l.cancel()
		<-l.done
	}
}

// wake wakes the signals of a channel, or all when channel is "".
func (l *listener) wake(channel string) {
	shared.Lock()
	defer shared.Unlock()
	for s := range l.signals {
		if channel == "" || s.channel == channel {
			s.Wake()
		}
	}
}

func (l *listener) channels() map[string]bool {
	shared.Lock()
	defer shared.Unlock()
	all := make(map[string]bool, len(l.signals))
	for s := range l.signals {
		all[s.channel] = true
	}
	return all
}

func (l *listener) run(ctx context.Context) {
	defer close(l.done)
	pause := firstPause
	for {
		err := l.session(ctx)
		if l.live.Swap(false) {
			pause = firstPause
		}
		if ctx.Err() != nil {
			return
		}
		l.logger.WarnContext(ctx, "lost the connection for notifications, polling until it is back", slog.Any("cause", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
	}
}

// session listens on one connection until it breaks.
func (l *listener) session(ctx context.Context) error {
	config := l.config.Copy()
	if l.renew != nil {
		if err := l.renew(ctx, config); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer cancel()
		_ = conn.Close(ctx) // the server frees the session either way
	}()
	listening := map[string]bool{}
	for {
		if err := l.listen(ctx, conn, listening); err != nil {
			return err
		}
		if err := l.receive(ctx, conn); err != nil {
			return err
		}
	}
}

// listen adds the channels the connection does not listen on yet. What was
// notified before is unknown, so everybody looks once.
func (l *listener) listen(ctx context.Context, conn *pgx.Conn, listening map[string]bool) error {
	added := !l.live.Load()
	for channel := range l.channels() {
		if listening[channel] {
			continue
		}
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return err
		}
		listening[channel], added = true, true
	}
	l.live.Store(true)
	if added {
		l.wake("")
	}
	return nil
}

// receive waits for notifications until the set of channels changed or it is time to check the connection.
func (l *listener) receive(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, checkEvery)
	defer cancel()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-l.changed:
			cancel()
		case <-stop:
		}
	}()
	defer func() { close(stop); <-stopped }()
	for {
		notification, err := conn.WaitForNotification(waiting)
		if err == nil {
			l.wake(notification.Channel)
			continue
		}
		if ctx.Err() != nil || conn.IsClosed() || waiting.Err() == nil {
			return err
		}
		return conn.Ping(ctx)
	}
}
