package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// life is how long a signed identity is accepted. It only has to cross the network once.
	life = 60 * time.Second
	// skew is how far the clocks of two processes may differ.
	skew = 10 * time.Second
	// maxToken bounds a signed identity in bytes, below the usual header limits of proxies.
	maxToken = 12 << 10
	// maxList bounds roles and permissions.
	maxList = 256
	// maxUserAgent cuts what outside clients may make every hop carry.
	maxUserAgent = 256
	// version is the first byte of the encoding.
	version = 1
)

// The ways Verify fails. None of them tells which part of the token was wrong.
var (
	ErrInvalid = errors.New("identity: invalid signature or form")
	ErrExpired = errors.New("identity: expired or not yet valid")
)

// Signer signs identities for other processes and verifies theirs. It is safe for concurrent use.
type Signer struct {
	keys Keys
	now  func() time.Time
}

// NewSigner returns a signer; the first key signs, all verify. It fails without keys or with weak ones.
func NewSigner(keys Keys) (*Signer, error) {
	if err := keys.validate(); err != nil {
		return nil, err
	}
	return &Signer{keys: keys, now: time.Now}, nil
}

// Sign returns the header value for id, good for 60 seconds. It fails when id does not fit a header.
func (s *Signer) Sign(id Identity) (string, error) {
	if len(id.Roles) > maxList || len(id.Permissions) > maxList {
		return "", fmt.Errorf("identity: more than %d roles or permissions", maxList)
	}
	key := s.keys[0]
	payload := encode(id, s.now())
	size := len(key.ID) + 2 + base64.RawURLEncoding.EncodedLen(len(payload)) + base64.RawURLEncoding.EncodedLen(sha256.Size)
	if size > maxToken {
		return "", fmt.Errorf("identity: %d bytes do not fit a header", size)
	}
	token := make([]byte, 0, size)
	token = append(token, key.ID...)
	token = append(token, '.')
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	mac := hmac.New(sha256.New, key.Secret)
	mac.Write(token) // the key id is signed too
	token = append(token, '.')
	var sum [sha256.Size]byte
	token = base64.RawURLEncoding.AppendEncode(token, mac.Sum(sum[:0]))
	return string(token), nil
}

// Verify returns the identity of a header value. It fails with ErrInvalid or ErrExpired.
func (s *Signer) Verify(token string) (Identity, error) {
	if len(token) > maxToken {
		return Identity{}, ErrInvalid
	}
	last := strings.LastIndexByte(token, '.')
	first := strings.IndexByte(token, '.')
	if first < 0 || first == last {
		return Identity{}, ErrInvalid
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(token[last+1:])
	if err != nil {
		return Identity{}, ErrInvalid
	}
	if !s.authentic(token[:first], token[:last], given) {
		return Identity{}, ErrInvalid
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(token[first+1 : last])
	if err != nil {
		return Identity{}, ErrInvalid
	}
	id, issued, err := decode(payload)
	if err != nil {
		return Identity{}, err
	}
	age := s.now().Sub(issued)
	if age < -skew || age > life+skew {
		return Identity{}, ErrExpired
	}
	return id, nil
}

func (s *Signer) authentic(keyID, signed string, given []byte) bool {
	for _, key := range s.keys {
		if key.ID != keyID {
			continue
		}
		mac := hmac.New(sha256.New, key.Secret)
		mac.Write([]byte(signed))
		var sum [sha256.Size]byte
		return hmac.Equal(mac.Sum(sum[:0]), given)
	}
	return false
}

// encode writes version, seconds, then every field as a length and its bytes.
// Lists are a count and their elements. Order is part of the version.
func encode(id Identity, now time.Time) []byte {
	if len(id.UserAgent) > maxUserAgent {
		id.UserAgent = id.UserAgent[:maxUserAgent]
	}
	out := make([]byte, 0, 256)
	out = append(out, version)
	out = binary.BigEndian.AppendUint64(out, uint64(now.Unix()))
	for _, field := range []string{id.UserID, id.SessionID, id.Email, id.GuestToken, id.Service, id.ClientIP, id.UserAgent} {
		out = appendString(out, field)
	}
	for _, list := range [][]string{id.Roles, id.Permissions} {
		out = binary.AppendUvarint(out, uint64(len(list)))
		for _, element := range list {
			out = appendString(out, element)
		}
	}
	return out
}

func appendString(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

// decode reverses encode and refuses anything that encode would not write.
func decode(payload []byte) (Identity, time.Time, error) {
	if len(payload) < 9 || payload[0] != version {
		return Identity{}, time.Time{}, ErrInvalid
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(payload[1:9])), 0)
	rest := reader{data: payload[9:]}
	var id Identity
	for _, field := range []*string{&id.UserID, &id.SessionID, &id.Email, &id.GuestToken, &id.Service, &id.ClientIP, &id.UserAgent} {
		*field = rest.text()
	}
	id.Roles = rest.list()
	id.Permissions = rest.list()
	if rest.failed || len(rest.data) > 0 {
		return Identity{}, time.Time{}, ErrInvalid
	}
	return id, issued, nil
}

// reader takes values off the front of data; failed is sticky.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) count() int {
	n, size := binary.Uvarint(r.data)
	if size <= 0 || n > uint64(len(r.data)-size) {
		r.failed = true
		r.data = nil
		return 0
	}
	r.data = r.data[size:]
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	text := string(r.data[:n])
	r.data = r.data[n:]
	return text
}

func (r *reader) list() []string {
	n := r.count()
	if n > maxList {
		r.failed = true
		return nil
	}
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}
