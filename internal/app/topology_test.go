package app

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/internal/topology"
	"github.com/commercestack/commercestack/services/gateway"
)

// The operator opens the network by internal/topology, so it must say what the program does.
func TestTheProgramIsWhatItsTopologySays(t *testing.T) {
	t.Parallel()
	components := topology.Components()
	names := ComponentNames()
	if len(components) != len(names) {
		t.Fatalf("the program has %d components, and its topology %d", len(names), len(components))
	}
	for i, component := range components {
		if component.Name != names[i] {
			t.Errorf("component %d is %s, and %s in the topology", i, names[i], component.Name)
		}
	}
	for _, entry := range registry {
		if data := topology.Find(entry.name).Data; data != (entry.migrations != nil) {
			t.Errorf("component %s has migrations: %v; data in the topology: %v", entry.name, entry.migrations != nil, data)
		}
	}
	if topology.Gateway != gatewayName {
		t.Errorf("the gateway is %s, and %s in the topology", gatewayName, topology.Gateway)
	}
}

func TestTheTopologyTellsTheGatewaysLimits(t *testing.T) {
	t.Parallel()
	policies, told := gateway.DefaultPolicies(), topology.RateLimits()
	if len(policies) != len(told) {
		t.Errorf("the gateway has %d policies, and %d in the topology", len(policies), len(told))
	}
	for name, policy := range policies {
		if text := fmt.Sprintf("%d/%s:%d", policy.Rate, policy.Period, policy.Burst); told[name] != text {
			t.Errorf("%s is %s, and %s in the topology", name, text, told[name])
		}
	}
}

func TestTheTopologyTellsWhoUsesRedis(t *testing.T) {
	t.Parallel()
	for _, entry := range registry {
		uses := false
		err := filepath.WalkDir(filepath.Join("..", "..", "services", entry.name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			uses = uses || bytes.Contains(content, []byte("env.Redis"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if told := topology.Find(entry.name).Redis; told != uses {
			t.Errorf("component %s uses Redis: %v; in the topology: %v", entry.name, uses, told)
		}
	}
}
