package event

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
)

var (
	someID   = uuid.MustParse("01946f3a-5c00-7000-8000-000000000001")
	someTime = time.Date(2025, 1, 15, 10, 0, 0, 0, time.UTC)
)

func registered() Event {
	return Event{
		ID: someID, Type: "USER_REGISTERED", Subject: "user-123", Time: someTime, TraceID: "req-abc-123",
		Payload: &eventv1.UserRegistered{UserId: "user-123", Email: "user@example.com"},
	}
}

func TestUserRegisteredIsTheContract(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/user_registered.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(registered())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
		t.Errorf("wire form (-want +got):\n%s", diff)
	}
	var keys map[string]any
	if err := json.Unmarshal(got, &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"eventType", "userId", "email", "timestamp", "eventId", "subject", "traceId"} {
		if _, ok := keys[key]; !ok {
			t.Errorf("key %s is missing", key)
		}
		delete(keys, key)
	}
	if len(keys) > 0 {
		t.Errorf("keys beyond the contract: %v", keys)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	order := &eventv1.OrderSnapshot{
		OrderId: "o", Lines: []*eventv1.OrderLine{{ProductId: "p", Quantity: 2, UnitPrice: &typev1.Money{}}},
	}
	for _, payload := range []proto.Message{
		&eventv1.UserRegistered{UserId: "ü\u0000\"", Email: "a@b"},
		&eventv1.UserDeleted{},
		&eventv1.OrderPlaced{OrderId: "o", Order: order},
		&eventv1.PaymentFailed{NextAttemptTime: timestamppb.New(someTime)},
	} {
		sent := New("subject", payload).WithTraceID("trace")
		data, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if !sent.Equal(got) {
			t.Errorf("%s came back as %+v", data, got)
		}
		again, err := json.Marshal(got)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("passed on as %s, %v; want %s", again, err, data)
		}
		if got.Equal(got.WithTraceID("other")) {
			t.Error("Equal ignores the trace id")
		}
	}
}

func TestEveryTypeIsKnownAndCollidesWithNothing(t *testing.T) {
	t.Parallel()
	reserved := map[string]bool{"eventtype": true, "eventid": true, "subject": true, "timestamp": true, "traceid": true}
	for kind, messageType := range types.byType {
		fields := messageType.Descriptor().Fields()
		for i := range fields.Len() {
			// encoding/json reads keys without regard to case.
			if name := fields.Get(i).JSONName(); reserved[strings.ToLower(name)] {
				t.Errorf("%s: field %s collides with the envelope", kind, name)
			}
			if name := fields.Get(i).TextName(); reserved[strings.ToLower(name)] {
				t.Errorf("%s: field %s collides with the envelope", kind, name)
			}
		}
		if payload := messageType.New().Interface(); TypeOf(payload) != kind {
			t.Errorf("TypeOf(%T) = %q, want %q", payload, TypeOf(payload), kind)
		}
	}
	if TypeOf(&eventv1.OrderLine{}) != "" || TypeOf(&eventv1.OrderSnapshot{}) != "" {
		t.Error("a part of an event counts as an event")
	}
	for _, want := range []string{"USER_REGISTERED", "ORDER_CONFIRMED", "PAYMENT_SUCCEEDED", "MAIL_SENT"} {
		if !slices.Contains(Types(), want) {
			t.Errorf("type %s is unknown", want)
		}
	}
}

func TestUnknownIsPassedOn(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"eventType":"COMET_SEEN","eventId":"` + someID.String() + `","timestamp":"2025-01-15T10:00:00Z","tail":[1]}`,
		`{"eventType":"USER_REGISTERED","eventId":"` + someID.String() + `","timestamp":"2025-01-15T10:00:00Z","userId":"u","later":{}}`,
	} {
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatal(err)
		}
		if known := e.Type == "USER_REGISTERED"; (e.Payload != nil) != known {
			t.Errorf("%s: payload %v", e.Type, e.Payload)
		}
		if again, err := json.Marshal(e); err != nil || string(again) != data {
			t.Errorf("passed on as %s, %v", again, err)
		}
	}
	opaque := Opaque(someID, "COMET_SEEN", "halley", []byte(`{"a":1}`))
	if data, err := json.Marshal(opaque); err != nil || string(data) != `{"a":1}` {
		t.Errorf("opaque: %s, %v", data, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	id := someID.String()
	for name, data := range map[string]string{
		"no type":     `{"eventId":"` + id + `","timestamp":"2025-01-15T10:00:00Z"}`,
		"no id":       `{"eventType":"USER_DELETED","timestamp":"2025-01-15T10:00:00Z"}`,
		"no time":     `{"eventType":"USER_DELETED","eventId":"` + id + `"}`,
		"bad id":      `{"eventType":"USER_DELETED","eventId":"7","timestamp":"2025-01-15T10:00:00Z"}`,
		"bad payload": `{"eventType":"USER_DELETED","eventId":"` + id + `","timestamp":"2025-01-15T10:00:00Z","userId":7}`,
		"array":       `[]`,
	} {
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]Event{
		"zero":    {},
		"no id":   {Type: "USER_DELETED"},
		"bad UTF": {ID: someID, Type: "USER_DELETED", Payload: &eventv1.UserDeleted{UserId: "\xff"}},
		"year":    {ID: someID, Type: "USER_DELETED", Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if data, err := e.MarshalJSON(); err == nil {
			t.Errorf("%s: encoded as %s", name, data)
		}
	}
	if data, err := (Event{ID: someID, Type: "X", Time: someTime}).MarshalJSON(); err != nil || !json.Valid(data) {
		t.Errorf("no payload: %s, %v", data, err)
	}
}

func TestNewRefusesWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	for _, payload := range []proto.Message{nil, &eventv1.OrderLine{}, &typev1.Money{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%T) did not panic", payload)
				}
			}()
			New("s", payload)
		}()
	}
}

func FuzzDecode(f *testing.F) {
	seed, err := json.Marshal(registered())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"eventType":"X","eventId":"01946f3a-5c00-7000-8000-000000000001","timestamp":"2025-01-15T10:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Event
		if json.Unmarshal(data, &e) != nil {
			return
		}
		e.raw = nil
		if e.Payload == nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("decoded %q but cannot encode it: %v", data, err)
		}
		var same Event
		if err := json.Unmarshal(again, &same); err != nil || !e.Equal(same) {
			t.Fatalf("%q became %q (%v)", data, again, err)
		}
		if _, err := protojson.Marshal(same.Payload); err != nil {
			t.Fatal(err)
		}
	})
}
