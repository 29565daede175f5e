package cache

import (
	"container/list"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	defaultMaxBytes = 32 << 20
	// entryOverhead is what an entry costs beside its bytes: keys, list and map cells.
	entryOverhead = 400
	// shards keep readers on different processors out of each other's way.
	shards = 16
)

// local is this process's memory: least recently used entries go first.
type local struct {
	parts [shards]part
}

type part struct {
	mutex    sync.Mutex
	maxBytes int64
	bytes    int64
	order    *list.List // of *slot, the most recently used first
	byKey    map[string]*list.Element
	byID     map[uuid.UUID]map[string]*list.Element
}

type slot struct {
	key     string
	entry   *Entry
	loaded  time.Time
	version int64
}

func newLocal(maxBytes int64) *local {
	if maxBytes <= 0 {
		maxBytes = defaultMaxBytes
	}
	l := &local{}
	for i := range l.parts {
		l.parts[i] = part{
			maxBytes: maxBytes / shards, order: list.New(), byKey: map[string]*list.Element{},
			byID: map[uuid.UUID]map[string]*list.Element{},
		}
	}
	return l
}

// part spreads keys by FNV-1a.
func (l *local) part(key string) *part {
	hash := uint32(2166136261)
	for i := range len(key) {
		hash = (hash ^ uint32(key[i])) * 16777619
	}
	return &l.parts[hash%shards]
}

func (l *local) get(key string) (entry *Entry, loaded time.Time, version int64) {
	p := l.part(key)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	element, ok := p.byKey[key]
	if !ok {
		return nil, time.Time{}, 0
	}
	p.order.MoveToFront(element)
	s := slotOf(element)
	return s.entry, s.loaded, s.version
}

func (l *local) put(key string, entry *Entry, loaded time.Time, version int64) {
	p := l.part(key)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if old, ok := p.byKey[key]; ok {
		p.remove(old)
	}
	element := p.order.PushFront(&slot{key: key, entry: entry, loaded: loaded, version: version})
	p.byKey[key] = element
	if entry.ProductID != uuid.Nil {
		keys := p.byID[entry.ProductID]
		if keys == nil {
			keys = map[string]*list.Element{}
			p.byID[entry.ProductID] = keys
		}
		keys[key] = element
	}
	p.bytes += entry.size()
	for p.bytes > p.maxBytes && p.order.Len() > 1 {
		p.remove(p.order.Back())
	}
}

func (l *local) drop(ids []uuid.UUID) {
	if len(ids) == 0 {
		return
	}
	for i := range l.parts {
		l.parts[i].drop(ids)
	}
}

func (p *part) drop(ids []uuid.UUID) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, id := range ids {
		for _, element := range p.byID[id] {
			p.remove(element)
		}
	}
}

func (p *part) remove(element *list.Element) {
	s := slotOf(element)
	p.order.Remove(element)
	delete(p.byKey, s.key)
	p.bytes -= s.entry.size()
	if keys := p.byID[s.entry.ProductID]; keys != nil {
		delete(keys, s.key)
		if len(keys) == 0 {
			delete(p.byID, s.entry.ProductID)
		}
	}
}

func slotOf(element *list.Element) *slot {
	s, _ := element.Value.(*slot)
	return s
}
