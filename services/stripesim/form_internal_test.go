package stripesim

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestFormLists(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]string{
		"expand[]=a&expand[]=b":                 {"a", "b"},
		"expand[2]=c&expand[0]=a&expand[1]=b":   {"a", "b", "c"},
		"expand=a":                              nil,
		"":                                      nil,
		"expand[x]=a&expanded[]=b&expand[0]=ok": {"ok"},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := newForm(values).list("expand"); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
}

func TestMetadataMerge(t *testing.T) {
	t.Parallel()
	old := map[string]string{"a": "1", "b": "2"}
	for query, want := range map[string]map[string]string{
		"":                            {"a": "1", "b": "2"},
		"metadata[a]=9":               {"a": "9", "b": "2"},
		"metadata[a]=":                {"b": "2"},
		"metadata=":                   {},
		"metadata=&metadata[c]=3":     {"c": "3"},
		"metadata[x][y]=deep":         {"a": "1", "b": "2"},
		"metadata[c]=3&metadata[d]=4": {"a": "1", "b": "2", "c": "3", "d": "4"},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := newForm(values).metadata(old); !maps.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	if len(old) != 2 {
		t.Error("the old metadata was changed")
	}
	many := url.Values{}
	for i := range 51 {
		many.Set("metadata["+strings.Repeat("k", i%40+1)+string(rune('a'+i/40))+"]", "v")
	}
	f := newForm(many)
	f.metadata(nil)
	if f.finish() == nil {
		t.Error("51 keys were taken")
	}
}

// Whatever arrives, every operation answers with a value or an error of the
// API, never both, and reads nothing out of thin air.
func FuzzPrepare(f *testing.F) {
	f.Add("amount=1999&currency=eur&payment_method_types[]=card&confirm=true")
	f.Add("metadata[a]=b&metadata[a][b]=c&metadata=&expand[0]=customer&expand[]=x")
	f.Add("payment_method_data[type]=card&payment_method_data[card][number]=4242")
	f.Add("created[gte]=1&limit=3&starting_after=pi_1")
	f.Add("amount[]=1&amount[x=2&]=3&[=4")
	sim := &Simulator{cfg: Config{}.withDefaults(), control: newControl(), wake: make(chan struct{}, 1)}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, op := range operations {
			c := &call{sim: sim, form: newForm(values), request: newRequest(t, op)}
			c.expand = c.form.list("expand")
			run, refused := op.prepare(c)
			if refused == nil {
				refused = c.form.finish()
			}
			if refused == nil && run == nil {
				t.Fatalf("%s: neither work nor error for %q", op.name, query)
			}
			if refused != nil && (refused.Status < 400 || refused.Message == "" || refused.Type == "") {
				t.Fatalf("%s: odd error %+v for %q", op.name, refused, query)
			}
		}
	})
}

func newRequest(t *testing.T, op operation) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(op.pattern, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetPathValue("id", "x_1")
	return r
}
