package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	// maxNesting bounds how deep JSON may nest.
	maxNesting = 100
	// keepBuffer is the largest buffer in bytes that is used again.
	keepBuffer = 256 << 10
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func putBuffer(buffer *bytes.Buffer) {
	if buffer.Cap() <= keepBuffer {
		buffer.Reset()
		buffers.Put(buffer)
	}
}

// refusal is a fault whose HTTP status says more than its kind's.
type refusal struct {
	cause  *fault.Error
	status int
}

// Error returns the fault's text.
func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap returns the fault.
func (r *refusal) Unwrap() error { return r.cause }

func tooLarge(limit int) error {
	return &refusal{fault.Invalid("", "the body is larger than %d bytes", limit), http.StatusRequestEntityTooLarge}
}

func unsupported(format string, args ...any) error {
	return &refusal{fault.Invalid("", format, args...), http.StatusUnsupportedMediaType}
}

// readBody reads the whole body into buffer, up to the route's limit.
func (r *Route) readBody(w http.ResponseWriter, request *http.Request, buffer *bytes.Buffer) error {
	if request.Body == nil || request.Body == http.NoBody {
		return nil
	}
	if encoding := request.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return unsupported("the body must not be compressed")
	}
	if request.ContentLength > int64(r.limit) {
		w.Header().Set("Connection", "close") // we will not read what is coming
		return tooLarge(r.limit)
	}
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, request.Body, int64(r.limit)))
	if _, exceeded := errors.AsType[*http.MaxBytesError](err); exceeded {
		return tooLarge(r.limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fault.Invalid("", "the body could not be read").WithCause(err)
	}
	return nil
}

// decodeBody fills message from the body.
func (r *Route) decodeBody(message protoreflect.Message, contentType string, body []byte) error {
	switch r.body {
	case bodyRaw:
		target := message
		if r.bodyField != nil {
			target = message.Mutable(r.bodyField).Message()
		}
		fields := target.Descriptor().Fields()
		if contentType != "" {
			target.Set(fields.ByName("content_type"), protoreflect.ValueOfString(strings.ToValidUTF8(contentType, "")))
		}
		target.Set(fields.ByName("data"), protoreflect.ValueOfBytes(bytes.Clone(body)))
		return nil
	case bodyWhole, bodyPart:
		if len(bytes.TrimSpace(body)) == 0 {
			return nil // validation names what is missing
		}
		if err := isJSON(contentType); err != nil {
			return err
		}
		target := message
		if r.body == bodyPart {
			target = message.Mutable(r.bodyField).Message()
		}
		if err := decodeJSON(target.Interface(), body); err != nil {
			return err
		}
		return r.fillMask(message, body)
	case bodyNone:
		return nil
	default:
		return nil
	}
}

func isJSON(contentType string) error {
	if contentType == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return unsupported("the body must be application/json")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return unsupported("the body must be UTF-8")
	}
	return nil
}

// decodeJSON fills message from JSON or says which field is wrong.
func decodeJSON(message proto.Message, body []byte) error {
	if !utf8.Valid(body) {
		return fault.Invalid("", "the body is not valid UTF-8")
	}
	if nesting(body) > maxNesting {
		return fault.Invalid("", "the body nests deeper than %d levels", maxNesting)
	}
	if err := protojson.Unmarshal(body, message); err != nil {
		return locate(message.ProtoReflect().Descriptor(), body) // the decoder's text may quote a secret
	}
	return nil
}

// nesting returns how deep objects and lists nest. It needs no valid JSON.
func nesting(body []byte) int {
	depth, deepest := 0, 0
	quoted, escaped := false, false
	for _, char := range body {
		switch {
		case escaped:
			escaped = false
		case quoted && char == '\\':
			escaped = true
		case char == '"':
			quoted = !quoted
		case quoted:
		case char == '{' || char == '[':
			depth++
			deepest = max(deepest, depth)
		case char == '}' || char == ']':
			depth--
		}
	}
	return deepest
}

// fillMask names the body's fields in the request's update mask, when the
// client gave none. A nested message counts as one value: what it lacks is
// cleared. The resource's id and etag are no changes; its etag becomes the
// request's when that is empty.
func (r *Route) fillMask(message protoreflect.Message, body []byte) error {
	if r.mask == nil || message.Has(r.mask) {
		return nil
	}
	resource, fields := r.resource(message, body)
	if resource == nil {
		return nil
	}
	mask := message.Mutable(r.mask).Message()
	paths := mask.Mutable(mask.Descriptor().Fields().ByName("paths")).List()
	descriptors := resource.Descriptor().Fields()
	for i := range descriptors.Len() {
		field := descriptors.Get(i)
		if !fields[field.JSONName()] && !fields[field.TextName()] {
			continue
		}
		switch field.Name() {
		case "id":
		case "etag":
			if r.etag != nil && field.Kind() == protoreflect.StringKind && !message.Has(r.etag) {
				message.Set(r.etag, resource.Get(field))
			}
		default:
			paths.Append(protoreflect.ValueOfString(string(field.Name())))
		}
	}
	return nil
}

// resource returns the message that the body changes and which of its fields the body names.
func (r *Route) resource(message protoreflect.Message, body []byte) (protoreflect.Message, map[string]bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil, nil
	}
	if r.body == bodyPart {
		return message.Get(r.bodyField).Message(), names(members)
	}
	fields := r.Descriptor.Input().Fields()
	for i := range fields.Len() { // the request wraps one resource
		field := fields.Get(i)
		if field.Message() == nil || field.IsList() || field.IsMap() || plain(field.Message()) || !message.Has(field) {
			continue
		}
		member, ok := members[field.JSONName()]
		if !ok {
			member = members[field.TextName()]
		}
		var inner map[string]json.RawMessage
		if json.Unmarshal(member, &inner) == nil {
			return message.Get(field).Message(), names(inner)
		}
	}
	return nil, nil
}

func names(members map[string]json.RawMessage) map[string]bool {
	result := make(map[string]bool, len(members))
	for name := range members {
		result[name] = true
	}
	return result
}

// fillEtag copies If-Match into the request's etag, when that is empty.
func (r *Route) fillEtag(message protoreflect.Message, header http.Header) error {
	if r.etag == nil || message.Has(r.etag) {
		return nil
	}
	value := strings.TrimSpace(header.Get("If-Match"))
	if value == "" || value == "*" {
		return nil
	}
	value = strings.TrimPrefix(value, "W/")
	if unquoted, ok := strings.CutPrefix(value, `"`); ok {
		value, ok = strings.CutSuffix(unquoted, `"`)
		if !ok || strings.Contains(value, `"`) {
			return fault.Invalid("If-Match", "If-Match must be one entity tag")
		}
	}
	if !utf8.ValidString(value) {
		return fault.Invalid("If-Match", "If-Match must be one entity tag")
	}
	message.Set(r.etag, protoreflect.ValueOfString(value))
	return nil
}
