package crypto

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A sealed stream is a header and chunks:
//
//	magic (4 bytes) | length of key id (1 byte) | key id | salt (32 bytes) | chunk … | last chunk
//
// A chunk is the ciphertext of streamChunk bytes and its tag; the last one is
// shorter or as long, and may be empty. Each stream has a key of its own, derived
// from the named key and the salt, so that the nonces can be the chunks' numbers
// with a mark on the last one: chunks that are left out, doubled, moved, cut off
// or taken from another stream do not open. The header and the caller's
// associated data are authenticated with every chunk.
const (
	streamMagic   = "CSS1"
	streamSalt    = 32
	streamChunk   = 64 << 10
	streamTag     = 16
	streamPurpose = "commercestack stream v1"
)

// errStreamClosed tells of a write after Close.
var errStreamClosed = errors.New("crypto: the stream is closed")

// SealStream returns a writer that encrypts to w with the first key. What was
// written is whole only after Close, which does not close w.
func (r *Keyring) SealStream(w io.Writer, associatedData []byte) (io.WriteCloser, error) {
	salt := make([]byte, streamSalt)
	_, _ = rand.Read(salt) // never fails: the process ends instead
	header := append([]byte(streamMagic), byte(len(r.primary)))
	header = append(append(header, r.primary...), salt...)
	aead, err := r.streamCipher(r.primary, salt)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(header); err != nil {
		return nil, err
	}
	return &streamWriter{to: w, cipher: streamCipher{aead: aead, bound: bind(header, associatedData)}, plain: make([]byte, 0, streamChunk)}, nil
}

// OpenStream reads the header of a sealed stream and returns a reader of what
// was sealed, and the id of its key. Read returns ErrCorrupt at the first chunk
// that is not what was written there; what came before it was.
func (r *Keyring) OpenStream(from io.Reader, associatedData []byte) (plain io.Reader, keyID string, err error) {
	id, header, err := readStreamHeader(from)
	if err != nil {
		return nil, "", err
	}
	if _, known := r.ciphers[id]; !known {
		return nil, id, &UnknownKeyError{ID: id}
	}
	aead, err := r.streamCipher(id, header[len(header)-streamSalt:])
	if err != nil {
		return nil, id, err
	}
	return &streamReader{
		from:   bufio.NewReaderSize(from, streamChunk+streamTag+1),
		cipher: streamCipher{aead: aead, bound: bind(header, associatedData)},
	}, id, nil
}

// readStreamHeader reads what stands before the first chunk.
func readStreamHeader(from io.Reader) (id string, header []byte, err error) {
	start := make([]byte, len(streamMagic)+1)
	if _, err := io.ReadFull(from, start); err != nil {
		return "", nil, shortStream(err)
	}
	length := int(start[len(streamMagic)])
	if string(start[:len(streamMagic)]) != streamMagic || length == 0 || length > maxIDLen {
		return "", nil, ErrCorrupt
	}
	rest := make([]byte, length+streamSalt)
	if _, err := io.ReadFull(from, rest); err != nil {
		return "", nil, shortStream(err)
	}
	id = string(rest[:length])
	if validateID(id) != nil {
		return "", nil, ErrCorrupt
	}
	return id, slices.Concat(start, rest), nil
}

// shortStream tells a stream that ends too early from one that cannot be read.
func shortStream(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCorrupt
	}
	return err
}

// streamCipher derives the key of one stream.
func (r *Keyring) streamCipher(id string, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, r.streams[id], salt, streamPurpose, KeySize)
	if err != nil {
		return nil, fmt.Errorf("crypto: derive the key of a stream: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("crypto: derive the key of a stream: %w", err)
	}
	return cipher.NewGCM(block)
}

// streamCipher seals and opens the chunks of one stream, in order.
type streamCipher struct {
	aead  cipher.AEAD
	bound []byte
	next  uint64
}

// nonce is the number of the next chunk and whether it is the last one.
func (c *streamCipher) nonce(last bool) []byte {
	nonce := make([]byte, nonceSize)
	binary.BigEndian.PutUint64(nonce[nonceSize-9:], c.next)
	if last {
		nonce[nonceSize-1] = 1
	}
	c.next++
	return nonce
}

type streamWriter struct {
	to     io.Writer
	cipher streamCipher
	plain  []byte
	sealed []byte
	err    error
}

// Write implements io.Writer.
func (w *streamWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		// A full chunk waits for its successor: the last one is marked.
		if len(w.plain) == streamChunk {
			if w.err = w.flush(false); w.err != nil {
				break
			}
		}
		taken := min(streamChunk-len(w.plain), len(p))
		w.plain = append(w.plain, p[:taken]...)
		p, n = p[taken:], n+taken
	}
	return n, w.err
}

// Close writes the last chunk.
func (w *streamWriter) Close() error {
	if w.err != nil {
		return w.err
	}
	err := w.flush(true)
	w.err = errStreamClosed
	return err
}

func (w *streamWriter) flush(last bool) error {
	w.sealed = w.cipher.aead.Seal(w.sealed[:0], w.cipher.nonce(last), w.plain, w.cipher.bound)
	w.plain = w.plain[:0]
	_, err := w.to.Write(w.sealed)
	return err
}

type streamReader struct {
	from   *bufio.Reader
	cipher streamCipher
	buffer []byte
	plain  []byte
	done   bool
	err    error
}

// Read implements io.Reader.
func (r *streamReader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.done {
			return 0, io.EOF
		}
		if r.err = r.fill(); r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// fill opens the next chunk. The last one is that after which nothing comes.
func (r *streamReader) fill() error {
	ahead, err := r.from.Peek(streamChunk + streamTag + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.done = len(ahead) <= streamChunk+streamTag
	chunk := ahead[:min(len(ahead), streamChunk+streamTag)]
	if len(chunk) < streamTag {
		return ErrCorrupt
	}
	if r.buffer, err = r.cipher.aead.Open(r.buffer[:0], r.cipher.nonce(r.done), chunk, r.cipher.bound); err != nil {
		return ErrCorrupt
	}
	r.plain = r.buffer
	_, err = r.from.Discard(len(chunk))
	return err
}
