package crypto_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/crypto"
)

const chunk = 64 << 10

func sealStream(t testing.TB, ring *crypto.Keyring, plain, bound []byte) []byte {
	t.Helper()
	var sealed bytes.Buffer
	w, err := ring.SealStream(&sealed, bound)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

func openStream(ring *crypto.Keyring, sealed, bound []byte) ([]byte, error) {
	r, _, err := ring.OpenStream(bytes.NewReader(sealed), bound)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func streamRing(t testing.TB, ids ...string) *crypto.Keyring {
	t.Helper()
	keys := make([]crypto.Key, len(ids))
	for i, id := range ids {
		keys[i] = crypto.Key{ID: id, Secret: bytes.Repeat([]byte(id), crypto.KeySize)[:crypto.KeySize]}
	}
	ring, err := crypto.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestStreamsOfEveryLengthComeBack(t *testing.T) {
	t.Parallel()
	ring := streamRing(t, "a")
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3*chunk + 17} {
		plain := bytes.Repeat([]byte("commerce"), n/8+1)[:n]
		opened, err := openStream(ring, sealStream(t, ring, plain, []byte("here")), []byte("here"))
		if err != nil || !bytes.Equal(opened, plain) {
			t.Errorf("%d bytes: %v, %d bytes came back", n, err, len(opened))
		}
	}
}

// The writer may be fed in pieces of any size.
func TestStreamsInPieces(t *testing.T) {
	t.Parallel()
	ring := streamRing(t, "a")
	rapid.Check(t, func(r *rapid.T) {
		var sealed, plain bytes.Buffer
		w, err := ring.SealStream(&sealed, nil)
		if err != nil {
			r.Fatal(err)
		}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, chunk+chunk/2), 0, 6).Draw(r, "pieces") {
			piece := bytes.Repeat([]byte{byte(n)}, n)
			plain.Write(piece)
			if got, err := w.Write(piece); err != nil || got != n {
				r.Fatalf("wrote %d of %d: %v", got, n, err)
			}
		}
		if err := w.Close(); err != nil {
			r.Fatal(err)
		}
		opened, err := openStream(ring, sealed.Bytes(), nil)
		if err != nil || !bytes.Equal(opened, plain.Bytes()) {
			r.Fatalf("%v: %d of %d bytes", err, len(opened), plain.Len())
		}
	})
}

func TestChangedStreamsDoNotOpen(t *testing.T) {
	t.Parallel()
	ring := streamRing(t, "a", "b")
	plain := bytes.Repeat([]byte("0123456789abcdef"), 3*chunk/16+5)
	sealed := sealStream(t, ring, plain, []byte("here"))
	const header, whole = 4 + 1 + 1 + 32, chunk + 16
	at := func(i int) []byte { return sealed[header+i*whole : header+(i+1)*whole] }
	flipped := func(i int) []byte {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		return changed
	}
	for name, changed := range map[string][]byte{
		"empty":                       {},
		"header only":                 sealed[:header],
		"half a header":               sealed[:header-5],
		"cut in a chunk":              sealed[:header+whole+100],
		"cut between chunks":          sealed[:header+whole],
		"without the last chunk":      sealed[:header+3*whole],
		"without its last byte":       sealed[:len(sealed)-1],
		"with a byte more":            append(bytes.Clone(sealed), 0),
		"with its last chunk twice":   append(bytes.Clone(sealed), sealed[header+3*whole:]...),
		"with chunks exchanged":       bytes.Join([][]byte{sealed[:header], at(1), at(0), sealed[header+2*whole:]}, nil),
		"with a chunk left out":       bytes.Join([][]byte{sealed[:header], at(0), sealed[header+2*whole:]}, nil),
		"with a chunk twice":          bytes.Join([][]byte{sealed[:header], at(0), sealed[header:]}, nil),
		"another magic":               flipped(0),
		"another salt":                flipped(10),
		"another byte":                flipped(len(sealed) / 2),
		"another tag":                 flipped(len(sealed) - 1),
		"chunks of another stream":    append(bytes.Clone(sealed[:header]), sealStream(t, ring, plain, []byte("here"))[header:]...),
		"sealed for another place":    sealStream(t, ring, plain, []byte("there")),
		"named after another key":     append(append(bytes.Clone(sealed[:5]), 'b'), sealed[6:]...),
		"an id of characters unknown": append(append(bytes.Clone(sealed[:5]), '/'), sealed[6:]...),
	} {
		if _, err := openStream(ring, changed, []byte("here")); !errors.Is(err, crypto.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStreamsNameTheirKey(t *testing.T) {
	t.Parallel()
	old := streamRing(t, "old")
	sealed := sealStream(t, old, []byte("backup"), nil)
	both := streamRing(t, "new", "old")
	r, id, err := both.OpenStream(bytes.NewReader(sealed), nil)
	if err != nil || id != "old" {
		t.Fatalf("%q, %v", id, err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != "backup" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, _, err := streamRing(t, "new").OpenStream(bytes.NewReader(sealed), nil); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("without the key: %v", err)
	}
}

// brokenPipe fails after some bytes.
type brokenPipe struct{ left int }

var errPipe = errors.New("the pipe broke")

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errPipe
	}
	return len(p), nil
}

func TestStreamsTellFailures(t *testing.T) {
	t.Parallel()
	ring := streamRing(t, "a")
	if _, err := ring.SealStream(&brokenPipe{}, nil); !errors.Is(err, errPipe) {
		t.Errorf("the header: %v", err)
	}
	w, err := ring.SealStream(&brokenPipe{left: 100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 2*chunk+1)); !errors.Is(err, errPipe) {
		t.Errorf("a chunk: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errPipe) {
		t.Errorf("close: %v", err)
	}
	w, err = ring.SealStream(io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("late")); err == nil {
		t.Error("a closed stream takes more")
	}
	if _, _, err := ring.OpenStream(io.MultiReader(bytes.NewReader([]byte("CSS1")), failing{}), nil); !errors.Is(err, errPipe) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errPipe }

// Whatever the bytes are, opening them ends, and gives nothing that was not sealed.
func FuzzOpenStream(f *testing.F) {
	ring := streamRing(f, "a")
	sealed := sealStream(f, ring, bytes.Repeat([]byte("x"), chunk+10), []byte("here"))
	f.Add(sealed)
	f.Add(sealed[:100])
	f.Add([]byte("CSS1\x01a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := openStream(ring, data, []byte("here"))
		if err == nil && !bytes.Equal(data, sealed) {
			t.Errorf("%d bytes that nobody sealed gave %d", len(data), len(plain))
		}
	})
}
