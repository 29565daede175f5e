package observability_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/test/shop"
)

const runbooks = "https://github.com/commercestack/commercestack/blob/main/docs/runbooks/"

// rulesFile is config/prometheus/rules.yaml.
type rulesFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Record      string            `json:"record"`
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// testFile is a file of promtool tests.
type testFile struct {
	Tests []struct {
		AlertRuleTest []struct {
			Alertname string           `json:"alertname"`
			ExpAlerts []map[string]any `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestNothingFiresInAHealthyShop loads every rule into the server. Whatever may
// not be healthy after a minute (the operator is not scraped here) is named.
func TestNothingFiresInAHealthyShop(t *testing.T) {
	t.Parallel()
	elsewhere := []string{"CommerceOperatorDown"}
	err := shop.Eventually(t.Context(), patience, func() (bool, error) {
		rules, err := prometheus.Rules(t.Context())
		if err != nil {
			return false, err
		}
		for _, rule := range rules {
			if rule.Health == "err" {
				return false, fmt.Errorf("%s: %s", rule.Name, rule.LastError)
			}
			if rule.Health != "ok" {
				return false, nil
			}
		}
		return len(rules) > 30, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Alerts wait for minutes before they fire; what would fire later is pending now.
	time.Sleep(10 * time.Second)
	rules, err := prometheus.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		if rule.Type == "alerting" && rule.State != "inactive" && !slices.Contains(elsewhere, rule.Name) {
			t.Errorf("%s is %s: %+v", rule.Name, rule.State, rule.Alerts)
		}
	}
}

func TestEveryRecordReturnsData(t *testing.T) {
	t.Parallel()
	var file rulesFile
	read(t, "../../config/prometheus/rules.yaml", &file)
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Record == "" {
				continue
			}
			err := shop.Eventually(t.Context(), patience, func() (bool, error) {
				samples, err := prometheus.Query(t.Context(), rule.Record+`{namespace="shop", stack="demo"}`)
				return len(samples) > 0, err
			})
			if err != nil {
				t.Errorf("%s: %v", rule.Record, err)
			}
		}
	}
}

// TestEveryAlertIsComplete wants of each alert who is told, a sentence, a
// runbook, and a promtool test in which it fires and one in which it does not.
func TestEveryAlertIsComplete(t *testing.T) {
	t.Parallel()
	var file rulesFile
	read(t, "../../config/prometheus/rules.yaml", &file)
	fires, rests := make(map[string]bool), make(map[string]bool)
	tests, err := filepath.Glob("../../config/prometheus/tests/*_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tests {
		var tested testFile
		read(t, path, &tested)
		for _, test := range tested.Tests {
			for _, alert := range test.AlertRuleTest {
				if len(alert.ExpAlerts) > 0 {
					fires[alert.Alertname] = true
				} else {
					rests[alert.Alertname] = true
				}
			}
		}
	}
	pages := make(map[string]bool)
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" {
				continue
			}
			pages[rule.Alert] = true
			if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) || rule.Labels["product"] != "commercestack" {
				t.Errorf("%s has the labels %v: nobody is told", rule.Alert, rule.Labels)
			}
			if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s says nothing", rule.Alert)
			}
			if want := runbooks + rule.Alert + ".md"; rule.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook_url is %s, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			if !fires[rule.Alert] || !rests[rule.Alert] {
				t.Errorf("%s: tested firing: %t, not firing: %t", rule.Alert, fires[rule.Alert], rests[rule.Alert])
			}
			checkRunbook(t, rule.Alert, rule.Labels["severity"])
		}
	}
	if len(pages) < 20 {
		t.Errorf("only %d alerts were read", len(pages))
	}
	files, err := filepath.Glob("../../docs/runbooks/Commerce*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if name := strings.TrimSuffix(filepath.Base(path), ".md"); !pages[name] {
			t.Errorf("%s is about no alert", path)
		}
	}
}

var headings = regexp.MustCompile(`(?m)^## (.*)$`)

func checkRunbook(t *testing.T, alert, severity string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/runbooks/" + alert + ".md")
	if err != nil {
		t.Error(err)
		return
	}
	var found []string
	for _, match := range headings.FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	if want := []string{"What it means", "What to look at", "What to do"}; !slices.Equal(found, want) {
		t.Errorf("runbook of %s has the headings %v", alert, found)
	}
	if !strings.HasPrefix(string(text), "# "+alert+"\n\nSeverity: "+severity) {
		t.Errorf("runbook of %s does not begin with its name and severity %s", alert, severity)
	}
	index, err := os.ReadFile("../../docs/runbooks/README.md")
	if err != nil || !strings.Contains(string(index), fmt.Sprintf("| [%s](%s.md) | %s |", alert, alert, severity)) {
		t.Errorf("the list of runbooks lacks %s as %s, %v", alert, severity, err)
	}
}
