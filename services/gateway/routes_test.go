package gateway

import (
	"strings"
	"testing"
)

// remotes are the components of these tests that may have a canary.
var remotes = []string{"auth", "order", "product"}

func TestParseRoutes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		want    []string
		err     string
	}{
		"one":              {`{"canaries":[{"component":"order","url":"https://shop-order-canary:8080","weight":5}]}`, []string{"order https://shop-order-canary:8080 5"}, ""},
		"two":              {`{"canaries":[{"component":"order","url":"http://a","weight":0},{"component":"auth","url":"http://[::1]:1/","weight":100}]}`, []string{"order http://a 0", "auth http://[::1]:1 100"}, ""},
		"none":             {`{"canaries":[]}`, nil, ""},
		"nothing at all":   {`{}`, nil, ""},
		"null":             {`{"canaries":null}`, nil, ""},
		"no JSON":          {`canaries:`, nil, "not a routing table"},
		"cut":              {`{"canaries":[{"component":"order"`, nil, "not a routing table"},
		"twice":            {`{"canaries":[]}{"canaries":[]}`, nil, "more than one"},
		"a misspelt field": {`{"canaries":[{"component":"order","url":"http://a","wieght":5}]}`, nil, `"wieght"`},
		"a stranger":       {`{"canaries":[{"component":"stock","url":"http://a","weight":5}]}`, nil, `canaries[0].component: "stock" is not one of auth, order, product`},
		"no component":     {`{"canaries":[{"url":"http://a","weight":5}]}`, nil, "canaries[0].component"},
		"a component with two": {
			`{"canaries":[{"component":"order","url":"http://a","weight":5},{"component":"order","url":"http://b","weight":5}]}`, nil, "canaries[1].component: order has a canary already",
		},
		"no weight":         {`{"canaries":[{"component":"order","url":"http://a"}]}`, nil, "canaries[0].weight: it is missing"},
		"too little weight": {`{"canaries":[{"component":"order","url":"http://a","weight":-1}]}`, nil, "canaries[0].weight: -1 is not from 0 to 100"},
		"too much weight":   {`{"canaries":[{"component":"order","url":"http://a","weight":101}]}`, nil, "canaries[0].weight: 101 is not from 0 to 100"},
		"half a weight":     {`{"canaries":[{"component":"order","url":"http://a","weight":0.5}]}`, nil, "weight"},
		"no url":            {`{"canaries":[{"component":"order","weight":5}]}`, nil, "canaries[0].url: it is not an http:// or https:// address"},
		"another scheme":    {`{"canaries":[{"component":"order","url":"ftp://a","weight":5}]}`, nil, "canaries[0].url"},
		"no host":           {`{"canaries":[{"component":"order","url":"http://:8080","weight":5}]}`, nil, "canaries[0].url: it has no host"},
		"a path":            {`{"canaries":[{"component":"order","url":"http://a/b","weight":5}]}`, nil, "canaries[0].url: it has more"},
		"a password":        {`{"canaries":[{"component":"order","url":"http://u:do-not-show@a","weight":5}]}`, nil, "canaries[0].url: it has more"},
		"no address":        {`{"canaries":[{"component":"order","url":"http://u:do-not-show@a:port","weight":5}]}`, nil, "canaries[0].url: it is not an address"},
		"too many":          {`{"canaries":[` + strings.Repeat(`{},`, maxCanaries) + `{}]}`, nil, "canaries: there are 65"},
	} {
		routes, err := parseRoutes([]byte(test.content), remotes)
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", name, err, test.err)
		}
		if err != nil && strings.Contains(err.Error(), "do-not-show") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
		if got := describeRoutes(routes); got != strings.Join(test.want, ", ") {
			t.Errorf("%s: %s, want %v", name, got, test.want)
		}
	}
}

// FuzzParseRoutes: whatever the file says, what is accepted is a table that can be used.
func FuzzParseRoutes(f *testing.F) {
	for _, seed := range []string{
		`{"canaries":[{"component":"order","url":"https://shop-order-canary:8080","weight":5}]}`, `{}`, ``, `[]`, `{"canaries":[{"component":"order","url":"http://[::1","weight":1e1}]}`,
		`{"canaries":[{"Component":"order","URL":"HTTP://a","WEIGHT":100}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		routes, err := parseRoutes(content, remotes)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, route := range routes {
			if route.weight < 0 || route.weight > fullWeight || seen[route.component] {
				t.Fatalf("accepted %s", describeRoutes(routes))
			}
			seen[route.component] = true
			again, err := parseTarget(route.url.String())
			if err != nil || *again != *route.url || route.url.Hostname() == "" {
				t.Fatalf("accepted the address %q (%v)", route.url, err)
			}
		}
	})
}
