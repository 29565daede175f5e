// Package event is what components tell each other: a fact with an id, a type
// and a protobuf payload. On the wire it is one flat JSON object: the
// payload's fields in lowerCamelCase beside eventType, eventId, subject,
// timestamp and traceId.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Event is one fact that happened.
type Event struct {
	// ID makes the event unique; subscribers deduplicate by it.
	ID uuid.UUID
	// Type is the payload's message name in UPPER_SNAKE_CASE, such as "USER_REGISTERED".
	Type string
	// Subject is the id of what the event is about, such as the order. Events of a subject are published in order.
	Subject string
	// Time is when it happened, in UTC.
	Time time.Time
	// TraceID ties the event to the request that caused it; "" when there was none.
	TraceID string
	// Payload is a message of commerce.event.v1; nil when this program does not know the type.
	Payload proto.Message

	// raw is the JSON the event was decoded from. A decoded event is passed on
	// as it came, so that a program that is older than the publisher loses
	// neither unknown types nor unknown fields.
	raw []byte
}

// New returns an event about subject that happens now, with an id of its own.
// It panics when payload is not an event of commerce.event.v1, which is a
// defect of the caller.
func New(subject string, payload proto.Message) Event {
	return NewAt(time.Now(), subject, payload)
}

// NewAt is New with the time given.
func NewAt(at time.Time, subject string, payload proto.Message) Event {
	if payload == nil {
		panic("event: no payload")
	}
	name := payload.ProtoReflect().Descriptor().FullName()
	kind, ok := types.byMessage[name]
	if !ok {
		panic(fmt.Sprintf("event: %s is not an event", name))
	}
	return Event{ID: uuid.Must(uuid.NewV7()), Type: kind, Subject: subject, Time: at.UTC(), Payload: payload}
}

// Opaque returns an event to be passed on as it is, without decoding its JSON.
// Its Payload, Time and TraceID stay empty.
func Opaque(id uuid.UUID, kind, subject string, data []byte) Event {
	return Event{ID: id, Type: kind, Subject: subject, raw: data}
}

// WithTraceID returns a copy that carries the trace id.
func (e Event) WithTraceID(id string) Event {
	e.TraceID, e.raw = id, nil
	return e
}

// Equal reports whether both events say the same.
func (e Event) Equal(other Event) bool {
	return e.ID == other.ID && e.Type == other.Type && e.Subject == other.Subject &&
		e.Time.Equal(other.Time) && e.TraceID == other.TraceID && proto.Equal(e.Payload, other.Payload)
}

// envelope holds the keys beside the payload's. Their order is the order on the wire.
type envelope struct {
	Type    string    `json:"eventType"`
	ID      uuid.UUID `json:"eventId"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"timestamp"`
	TraceID string    `json:"traceId"`
}

// MarshalJSON returns the flat wire form. A decoded event gives back the
// bytes it was decoded from.
func (e Event) MarshalJSON() ([]byte, error) {
	if e.raw != nil {
		return e.raw, nil
	}
	if e.Type == "" || e.ID == uuid.Nil {
		return nil, errors.New("event: no type or id")
	}
	head, err := json.Marshal(envelope{Type: e.Type, ID: e.ID, Subject: e.Subject, Time: e.Time.UTC(), TraceID: e.TraceID})
	if err != nil {
		return nil, fmt.Errorf("event: encode %s: %w", e.Type, err)
	}
	if e.Payload == nil {
		return head, nil
	}
	body, err := protojson.Marshal(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("event: encode %s: %w", e.Type, err)
	}
	// protojson varies its white space on purpose; compact output is stable.
	var out bytes.Buffer
	out.Grow(len(head) + len(body))
	out.Write(head)
	if err := json.Compact(&out, body); err != nil {
		return nil, fmt.Errorf("event: encode %s: %w", e.Type, err)
	}
	return join(out.Bytes(), len(head)), nil
}

// join turns two adjacent JSON objects, the second starting at split, into one.
func join(both []byte, split int) []byte {
	if len(both)-split == len("{}") {
		return both[:split]
	}
	both[split-1] = ','
	return append(both[:split], both[split+1:]...)
}

// UnmarshalJSON reads the flat wire form. An unknown type gives a nil Payload
// and no error; unknown fields are ignored.
func (e *Event) UnmarshalJSON(data []byte) error {
	var head envelope
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("event: decode: %w", err)
	}
	switch {
	case head.Type == "":
		return errors.New("event: decode: eventType is missing")
	case head.ID == uuid.Nil:
		return errors.New("event: decode: eventId is missing")
	case head.Time.IsZero():
		return errors.New("event: decode: timestamp is missing")
	}
	payload := newPayload(head.Type)
	if payload != nil {
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, payload); err != nil {
			return fmt.Errorf("event: decode %s: %w", head.Type, err)
		}
	}
	*e = Event{
		ID: head.ID, Type: head.Type, Subject: head.Subject, Time: head.Time.UTC(), TraceID: head.TraceID,
		Payload: payload, raw: bytes.Clone(data),
	}
	return nil
}
