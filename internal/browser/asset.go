package browser

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var library embed.FS

// Assets serves static files below a prefix, together with htmx.min.js. Addresses made by URL
// name the content, so browsers and CDNs keep it for a year.
type Assets struct {
	prefix string
	files  map[string]asset
}

type asset struct {
	content []byte
	version string
	kind    string
}

// NewAssets reads all files of the folder "static" of own, and of this package.
func NewAssets(prefix string, own fs.FS) (*Assets, error) {
	a := &Assets{prefix: prefix, files: make(map[string]asset)}
	for _, source := range []fs.FS{library, own} {
		err := fs.WalkDir(source, "static", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(source, name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(content)
			kind := mime.TypeByExtension(path.Ext(name))
			if kind == "" {
				kind = "application/octet-stream"
			}
			a.files[strings.TrimPrefix(name, "static/")] = asset{content: content, version: hex.EncodeToString(sum[:8]), kind: kind}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

// URL returns the address of a file by its name below "static".
func (a *Assets) URL(name string) string {
	return a.prefix + name + "?v=" + a.files[name].version
}

// ServeHTTP implements http.Handler.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[strings.TrimPrefix(r.URL.Path, a.prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("ETag", `"`+file.version+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Get("v") == file.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "public, max-age=300")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
}
