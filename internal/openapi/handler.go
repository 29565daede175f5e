package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"

	api "github.com/commercestack/commercestack/api/openapi"
)

// The addresses that Handler answers.
const (
	DocumentPath = "/openapi.json"
	PagePath     = "/docs"
)

// cacheControl lets caches keep both for a while: they change with releases only.
const cacheControl = "public, max-age=300"

// asset is a file in memory, ready to send.
type asset struct {
	kind, etag     string
	plain, gzipped []byte
	policy         string
}

// assets renders once a process.
var assets = sync.OnceValues(func() (map[string]asset, error) { return build(api.Document) })

// Handler serves the OpenAPI document at /openapi.json and the page at /docs.
// Everything else is not found. It panics when the document that was built in
// is broken, which the tests rule out.
func Handler() http.Handler {
	files, err := assets()
	if err != nil {
		panic(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := files[strings.TrimSuffix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		file.serve(w, r)
	})
}

func build(data []byte) (map[string]asset, error) {
	parsed, err := parse(data)
	if err != nil {
		return nil, err
	}
	html, err := render(parsed)
	if err != nil {
		return nil, err
	}
	style := sha256.Sum256([]byte(styleText))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return map[string]asset{
		DocumentPath: newAsset("application/json", "default-src 'none'; frame-ancestors 'none'", data),
		PagePath:     newAsset("text/html; charset=utf-8", policy, html),
	}, nil
}

func newAsset(kind, policy string, data []byte) asset {
	sum := sha256.Sum256(data)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(data) // a buffer does not fail
	_ = writer.Close()
	return asset{kind: kind, policy: policy, plain: data, gzipped: packed.Bytes(), etag: base64.RawURLEncoding.EncodeToString(sum[:12])}
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	body, etag := a.plain, `"`+a.etag+`"`
	header := w.Header()
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = a.gzipped, `"`+a.etag+`-gzip"`
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", a.kind)
	header.Set("Content-Security-Policy", a.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", cacheControl)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Etag", etag)
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // a client that went away is no failure of ours
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" && strings.ReplaceAll(quality, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
