package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"gocloud.dev/blob/memblob"

	"github.com/commercestack/commercestack/internal/objectstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t testing.TB) *objectstore.Store {
	t.Helper()
	return opened(t, "file://"+t.TempDir())
}

func opened(t testing.TB, url string) *objectstore.Store {
	t.Helper()
	store, err := objectstore.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func put(t testing.TB, store *objectstore.Store, key, contentType, body string) {
	t.Helper()
	if err := store.Put(context.Background(), key, contentType, strings.NewReader(body), 1<<20); err != nil {
		t.Fatal(err)
	}
}

func TestPutGetDelete(t *testing.T) {
	t.Parallel()
	stores := map[string]*objectstore.Store{"folder": newStore(t), "memory": objectstore.New(memblob.OpenBucket(nil))}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			if name == "memory" {
				defer store.Close()
			}
			ctx := t.Context()
			if err := store.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			put(t, store, "invoices/2026/1.pdf", "application/pdf", "first")
			put(t, store, "invoices/2026/1.pdf", "application/pdf", "second")
			object, err := store.Get(ctx, "invoices/2026/1.pdf")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(object)
			if err != nil || string(body) != "second" || object.ContentType != "application/pdf" || object.Size != 6 || object.ModTime.IsZero() {
				t.Errorf("got %q %+v, %v", body, object, err)
			}
			if err := object.Close(); err != nil {
				t.Error(err)
			}
			for range 2 { // a deletion can be repeated
				if err := store.Delete(ctx, "invoices/2026/1.pdf"); err != nil {
					t.Error(err)
				}
			}
			if _, err := store.Get(ctx, "invoices/2026/1.pdf"); !errors.Is(err, objectstore.ErrNotFound) {
				t.Errorf("get after delete: %v", err)
			}
			if there, err := store.Exists(ctx, "invoices/2026/1.pdf"); there || err != nil {
				t.Errorf("exists after delete: %t, %v", there, err)
			}
		})
	}
}

func TestPutLimit(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	if err := store.Put(t.Context(), "a", "text/plain", strings.NewReader("12345"), 5); err != nil {
		t.Errorf("five of five bytes: %v", err)
	}
	err := store.Put(t.Context(), "b", "text/plain", strings.NewReader("123456"), 5)
	if !errors.Is(err, objectstore.ErrTooLarge) {
		t.Errorf("six of five bytes: %v", err)
	}
	err = store.Put(t.Context(), "b", "text/plain", io.MultiReader(strings.NewReader("12"), brokenReader{}), 5)
	if !errors.Is(err, errBroken) {
		t.Errorf("broken body: %v", err)
	}
	if there, err := store.Exists(t.Context(), "b"); there || err != nil {
		t.Errorf("half an object was stored: %t, %v", there, err)
	}
}

var errBroken = errors.New("the sender went away")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestKeysStayInside(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := opened(t, "file://"+filepath.Join(folder, "objects"))
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", "../secret", "a/../../secret", ".", "..", ".hidden", "a/.b",
		"a\\b", "a b", "a\x00b", "ä", "a.attrs", "%2e%2e/secret", strings.Repeat("a", 256),
	} {
		if err := store.Put(t.Context(), key, "text/plain", strings.NewReader("x"), 9); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("Put(%q): %v", key, err)
		}
		if _, err := store.Get(t.Context(), key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("Get(%q): %v", key, err)
		}
		if _, err := store.Exists(t.Context(), key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("Exists(%q): %v", key, err)
		}
		if err := store.Delete(t.Context(), key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("Delete(%q): %v", key, err)
		}
		if _, err := store.PutPicture(t.Context(), key, bytes.NewReader(nil), objectstore.PictureLimits{}); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("PutPicture(%q): %v", key, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "file://", "mem://", "http://user:hunter2@example.com", "s3://", "://hunter2", "\x7f"} {
		store, err := objectstore.Open(t.Context(), url)
		if !errors.Is(err, objectstore.ErrInvalidURL) {
			t.Errorf("Open(%q): %v", url, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) shows the password: %v", url, err)
		}
		if store != nil {
			_ = store.Close()
		}
	}
}

func TestOpenRelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, opened(t, "file://objects/here"), "a", "text/plain", "x")
	if _, err := os.Stat("objects/here/a"); err != nil {
		t.Error(err)
	}
}

// A store that went away is an error that is not ErrNotFound: the caller must
// not take it for a deleted object.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	store := objectstore.New(memblob.OpenBucket(nil))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), "a"); err == nil || errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := store.Exists(t.Context(), "a"); err == nil {
		t.Error("Exists succeeded")
	}
	if err := store.Delete(t.Context(), "a"); err == nil {
		t.Error("Delete succeeded")
	}
	if err := store.Put(t.Context(), "a", "text/plain", strings.NewReader("x"), 9); err == nil {
		t.Error("Put succeeded")
	}
	if err := store.Ping(t.Context()); err == nil {
		t.Error("Ping succeeded")
	}
}
