package gateway

import (
	"net/http"
	"testing"
)

func TestTrap26ClientAddressIsReadRightToLeft(t *testing.T) {
	t.Parallel()
	proxies, err := parseTrustedProxies([]string{"10.0.0.0/8", "192.0.2.7", " "})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"direct":                                 {"203.0.113.9:1234", nil, "203.0.113.9"},
		"untrusted peer is believed only itself": {"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		"one proxy":                              {"10.1.1.1:80", []string{"198.51.100.1"}, "198.51.100.1"},
		"spoofed left entry":                     {"10.1.1.1:80", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		"two trusted proxies":                    {"10.1.1.1:80", []string{"198.51.100.1, 192.0.2.7"}, "198.51.100.1"},
		"several headers":                        {"10.1.1.1:80", []string{"198.51.100.1", "10.2.2.2"}, "198.51.100.1"},
		"garbage stops the walk":                 {"10.1.1.1:80", []string{"198.51.100.1, nonsense"}, "10.1.1.1"},
		"entry with port":                        {"10.1.1.1:80", []string{"198.51.100.1:5555"}, "198.51.100.1"},
		"ipv6":                                   {"[2001:db8::1]:443", nil, "2001:db8::1"},
		"ipv4 in ipv6":                           {"[::ffff:203.0.113.9]:443", nil, "203.0.113.9"},
		"all trusted gives the first":            {"10.1.1.1:80", []string{"10.3.3.3"}, "10.3.3.3"},
		"no address":                             {"", nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.forwarded}}
			if got := proxies.clientAddress(r); got != test.want {
				t.Errorf("clientAddress = %q, want %q", got, test.want)
			}
		})
	}
}

func TestTrustedProxiesRefuseNonsense(t *testing.T) {
	t.Parallel()
	if _, err := parseTrustedProxies([]string{"10.0.0.0/8", "proxy.internal"}); err == nil {
		t.Fatal("a name was accepted as a trusted proxy")
	}
}
