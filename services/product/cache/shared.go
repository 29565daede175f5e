package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

const (
	sharedPrefix  = "product:cache:"
	sharedTimeout = 100 * time.Millisecond
	// sharedPause is how long Redis is left alone after a failure, so that an outage does not slow every read.
	sharedPause  = 2 * time.Second
	sharedFormat = 1
)

// shared is the level that processes share. Every failure is a miss.
type shared struct {
	client redis.UniversalClient
	logger *slog.Logger
	now    func() time.Time
	// until is when Redis is asked again after a failure, in unix milliseconds.
	until atomic.Int64
}

func (s *shared) ready() bool {
	return s.client != nil && s.now().UnixMilli() >= s.until.Load()
}

func (s *shared) get(ctx context.Context, key string) (*Entry, time.Time) {
	if !s.ready() {
		return nil, time.Time{}
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	data, err := s.client.Get(ctx, sharedPrefix+key).Bytes()
	if err != nil {
		if !errors.Is(err, redis.Nil) {
			s.pause(ctx, err)
		}
		return nil, time.Time{}
	}
	entry, loaded := decode(data)
	if age := s.now().Sub(loaded); age > sharedAge || age < -sharedAge {
		return nil, time.Time{} // whoever keeps it longer than asked, or has another idea of the time
	}
	return entry, loaded
}

func (s *shared) put(ctx context.Context, key string, entry *Entry, loaded time.Time) {
	if !s.ready() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	if err := s.client.Set(ctx, sharedPrefix+key, encode(entry, loaded), sharedAge).Err(); err != nil {
		s.pause(ctx, err)
	}
}

func (s *shared) pause(ctx context.Context, err error) {
	s.until.Store(s.now().Add(sharedPause).UnixMilli())
	s.logger.WarnContext(ctx, "the shared cache does not answer; reads go on without it", slog.Any("cause", err))
}

// encode writes format, time, product and the three byte strings with their lengths.
func encode(e *Entry, loaded time.Time) []byte {
	out := make([]byte, 0, 1+8+16+3*binary.MaxVarintLen32+len(e.Message)+len(e.JSON)+len(e.Etag))
	out = append(out, sharedFormat)
	out = binary.BigEndian.AppendUint64(out, uint64(loaded.UnixMilli()))
	out = append(out, e.ProductID[:]...)
	for _, part := range [][]byte{e.Message, e.JSON, []byte(e.Etag)} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

// decode returns nil for anything that encode did not write.
func decode(data []byte) (*Entry, time.Time) {
	const head = 1 + 8 + 16
	if len(data) < head || data[0] != sharedFormat {
		return nil, time.Time{}
	}
	loaded := time.UnixMilli(int64(binary.BigEndian.Uint64(data[1:9])))
	e := &Entry{ProductID: uuid.UUID(data[9:head])}
	rest := data[head:]
	parts := [3][]byte{}
	for i := range parts {
		n, width := binary.Uvarint(rest)
		if width <= 0 || n > uint64(len(rest)-width) {
			return nil, time.Time{}
		}
		parts[i] = rest[width : width+int(n)]
		rest = rest[width+int(n):]
	}
	e.Message, e.JSON, e.Etag = parts[0], parts[1], string(parts[2])
	return e, loaded
}
