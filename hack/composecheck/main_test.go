package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	const good = `{"services": {
		"order": {"read_only": true, "healthcheck": {}, "secrets": [{"source": "keys"}],
			"environment": {"COMMERCE_COMPONENTS": "order", "COMMERCE_IDENTITY_KEYS_FILE": "/run/secrets/keys"}},
		"gateway": {"read_only": true, "healthcheck": {}, "ports": [{"host_ip": "127.0.0.1"}],
			"environment": {"COMMERCE_COMPONENTS": "gateway"}}}}`
	const bad = `{"services": {
		"order": {"healthcheck": {}, "ports": [{}],
			"environment": {"COMMERCE_COMPONENTS": "user", "STRIPE_KEY": "x", "COMMERCE_TYPO_FILE": "/etc/x", "COMMERCE_IDENTITY_KEYS_FILE": "/run/secrets/keys"}}}}`
	tests := map[string]struct {
		input string
		want  []string
	}{
		"good": {input: good},
		"bad": {input: bad, want: []string{
			"component gateway has no service",
			"order: COMMERCE_COMPONENTS is not order",
			"order: COMMERCE_IDENTITY_KEYS_FILE names the secret keys, which is not mounted",
			"order: STRIPE_KEY holds a secret; use STRIPE_KEY_FILE and a compose secret",
			"order: publishes a port",
			`order: publishes to "" by default; only this machine should reach it`,
			"order: the file system is not read-only",
			"order: the program has no setting COMMERCE_TYPO",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := check(strings.NewReader(test.input), []string{"order", "gateway"},
				map[string]bool{"STRIPE_KEY": true, "COMMERCE_COMPONENTS": true, "COMMERCE_IDENTITY_KEYS_FILE": true})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
