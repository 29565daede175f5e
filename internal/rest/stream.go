package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/rpc"
)

// stream is one REST request as a call. It reads the request once and keeps
// the encoded answer until the call has ended, because only then the status is known.
type stream struct {
	route    *Route
	values   []string
	writer   http.ResponseWriter
	request  *http.Request
	exchange *rpc.Exchange

	received    bool
	sent        bool
	status      int // of a refusal, 0 for the fault's own
	contentType string
	body        []byte
	buffer      *bytes.Buffer // backs body, nil when it is the handler's
}

// SendHeaders does nothing: an answer has its headers when it is complete.
func (s *stream) SendHeaders() error { return nil }

// Receive decodes the request. A second message never comes.
func (s *stream) Receive(msg any) error {
	if s.received {
		return io.EOF
	}
	s.received = true
	message, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: request is %T, not a protobuf message", msg)
	}
	err := s.decode(message.ProtoReflect())
	if special, ok := errors.AsType[*refusal](err); ok {
		s.status = special.status
	}
	return err
}

func (s *stream) decode(message protoreflect.Message) error {
	if s.route.body != bodyNone {
		buffer, _ := buffers.Get().(*bytes.Buffer)
		defer putBuffer(buffer)
		if err := s.route.readBody(s.writer, s.request, buffer); err != nil {
			return err
		}
		if err := s.route.decodeBody(message, s.request.Header.Get("Content-Type"), buffer.Bytes()); err != nil {
			return err
		}
	}
	if err := s.route.decodeQuery(message, s.request.URL.RawQuery); err != nil {
		return err
	}
	if err := s.route.decodePath(message, s.values); err != nil {
		return err
	}
	return s.route.fillEtag(message, s.request.Header)
}

// Send encodes the answer, unless the handler had it ready.
func (s *stream) Send(msg any) error {
	s.sent = true
	if s.exchange.Encoded != nil {
		s.contentType, s.body = jsonType, s.exchange.Encoded
		return nil
	}
	message, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: answer is %T, not a protobuf message", msg)
	}
	reflection := message.ProtoReflect()
	if s.route.answer != nil {
		reflection = reflection.Get(s.route.answer).Message()
	}
	if reflection.Descriptor().FullName() == httpBodyName {
		fields := reflection.Descriptor().Fields()
		s.contentType = reflection.Get(fields.ByName("content_type")).String()
		s.body = reflection.Get(fields.ByName("data")).Bytes()
		return nil
	}
	buffer, _ := buffers.Get().(*bytes.Buffer)
	encoded, err := appendMessage(buffer.AvailableBuffer(), reflection)
	if err != nil {
		putBuffer(buffer)
		return fmt.Errorf("rest: encode %s: %w", reflection.Descriptor().FullName(), err)
	}
	_, _ = buffer.Write(encoded) // keeps the memory for the next answer
	s.contentType, s.body, s.buffer = jsonType, buffer.Bytes(), buffer
	return nil
}

func (s *stream) release() {
	if s.buffer != nil {
		putBuffer(s.buffer)
		s.buffer, s.body = nil, nil
	}
}
