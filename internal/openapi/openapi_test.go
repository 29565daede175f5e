package openapi

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	api "github.com/commercestack/commercestack/api/openapi"
)

func serve(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	request := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

func read(t *testing.T, from io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocument(t *testing.T) {
	t.Parallel()
	answer := serve(t, http.MethodGet, DocumentPath)
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/json" || read(t, answer.Body) != string(api.Document) {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
	packed := serve(t, http.MethodGet, DocumentPath, "Accept-Encoding", "br, gzip;q=0.5")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Etag") == answer.Header.Get("Etag") {
		t.Fatalf("%v", packed.Header)
	}
	reader, err := gzip.NewReader(packed.Body)
	if err != nil || read(t, reader) != string(api.Document) {
		t.Errorf("compressed document differs: %v", err)
	}
	if got := serve(t, http.MethodGet, DocumentPath, "Accept-Encoding", "gzip; q=0"); got.Header.Get("Content-Encoding") != "" {
		t.Error("compressed against the client's will")
	}
	if got := serve(t, http.MethodGet, DocumentPath, "If-None-Match", answer.Header.Get("Etag")); got.StatusCode != 304 || read(t, got.Body) != "" {
		t.Errorf("%d", got.StatusCode)
	}
	if got := serve(t, http.MethodHead, DocumentPath); got.StatusCode != 200 || read(t, got.Body) != "" {
		t.Errorf("HEAD: %d", got.StatusCode)
	}
	if got := serve(t, http.MethodPost, DocumentPath); got.StatusCode != 405 || got.Header.Get("Allow") == "" {
		t.Errorf("POST: %d", got.StatusCode)
	}
	if got := serve(t, http.MethodGet, "/other"); got.StatusCode != 404 {
		t.Errorf("other: %d", got.StatusCode)
	}
}

func TestPageIsCompleteAndSelfContained(t *testing.T) {
	t.Parallel()
	answer := serve(t, http.MethodGet, "/docs/")
	text := read(t, answer.Body)
	policy := answer.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	ids, links := map[string]bool{}, []string{}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		if node.Data == "script" || node.Data == "img" || node.Data == "link" || node.Data == "iframe" {
			t.Errorf("the page has a %s", node.Data)
		}
		for _, attribute := range node.Attr {
			switch {
			case attribute.Key == "id" && ids[attribute.Val]:
				t.Errorf("id %q twice", attribute.Val)
			case attribute.Key == "id":
				ids[attribute.Val] = true
			case attribute.Key == "href":
				links = append(links, attribute.Val)
			case attribute.Key == "style" || strings.HasPrefix(attribute.Key, "on"):
				t.Errorf("the policy forbids %s=%q", attribute.Key, attribute.Val)
			}
		}
	}
	for _, link := range links {
		if target, ok := strings.CutPrefix(link, "#"); ok && !ids[target] {
			t.Errorf("link to nowhere: %s", link)
		} else if !ok && link != DocumentPath {
			t.Errorf("link to elsewhere: %s", link)
		}
	}
	parsed, err := parse(api.Document)
	if err != nil {
		t.Fatal(err)
	}
	for path, operations := range parsed.Paths {
		for verb, op := range operations {
			if !ids[op.ID] {
				t.Errorf("%s %s is not on the page", verb, path)
			}
		}
	}
	for _, part := range []string{"needs manage:products", "anybody", "curl -X POST", "at most 254 characters"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q on the page", part)
		}
	}
}

// TestExamplesAreJSON: people paste them.
func TestExamplesAreJSON(t *testing.T) {
	t.Parallel()
	d, err := parse(api.Document)
	if err != nil {
		t.Fatal(err)
	}
	bodies := 0
	for path, operations := range d.Paths {
		for verb, op := range operations {
			text := d.curl(strings.ToUpper(verb), path, op, true)
			if strings.ContainsAny(text[:strings.IndexByte(text, '\\')], "{}") {
				t.Errorf("a placeholder is left: %s", text)
			}
			_, body, ok := strings.Cut(text, "-d '")
			if !ok {
				continue
			}
			bodies++
			if body = strings.TrimSuffix(body, "'"); !json.Valid([]byte(body)) {
				t.Errorf("%s %s: %s", verb, path, body)
			}
		}
	}
	if bodies < 20 {
		t.Errorf("only %d examples", bodies)
	}
}

func TestBuildRefusesBrokenDocuments(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{}", `{"paths":5}`} {
		if _, err := build([]byte(text)); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]string{
		`{"type":"string","format":"uuid"}`:                                              {"string (uuid)", "", ""},
		`{"$ref":"#/components/schemas/commerce.type.v1.Money"}`:                         {"Money", "commerce.type.v1.Money", ""},
		`{"type":"array","items":{"$ref":"#/components/schemas/a.v1.B.C"},"maxItems":3}`: {"list of B.C", "a.v1.B.C", "at most 3 elements"},
		`{"type":"object","additionalProperties":{"type":"string"}}`:                     {"map of string", "", ""},
		`{"type":"object","additionalProperties":true}`:                                  {"map", "", ""},
		`{"type":"object"}`: {"object", "", ""},
		`{}`:                {"any", "", ""},
		`{"type":"string","enum":["A","B"],"pattern":"^x$","minLength":1}`: {"string", "", "at least 1 characters; matches ^x$; one of A, B"},
		`{"type":"integer","minimum":0,"maximum":9}`:                       {"integer", "", "≥ 0; ≤ 9"},
	} {
		var s schema
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got := [3]string{s.kind(), s.target(), s.limits()}; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if shortName("lower.case") != "lower.case" {
		t.Error("a name without a type")
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"type":"number"}`: `1.5`, `{"type":"integer"}`: `1`, `{"type":"boolean"}`: `true`, `{"type":"string","format":"int64"}`: `"1999"`,
		`{"type":"string","enum":["X_UNSPECIFIED","A"]}`: `"A"`, `{"type":"string","enum":["X_UNSPECIFIED"]}`: `"X_UNSPECIFIED"`,
		`{"type":"string","format":"date-time"}`: `"2025-01-15T10:00:00Z"`, `{"type":"array"}`: `[]`, `{"type":"string","format":"email"}`: `"ada@example.com"`,
	} {
		var s schema
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal((&document{}).example(s, 1))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
