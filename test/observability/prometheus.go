package observability

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

// Target is what Prometheus scrapes, with the labels that the Prometheus
// operator would give it.
type Target struct {
	// Job of the target.
	Job string
	// Address as host:port.
	Address string
	// Labels of every series that has none of its own under the name.
	Labels map[string]string
}

// Prometheus is a running server.
type Prometheus struct {
	address string
	command *exec.Cmd
	out     *bytes.Buffer
}

// fast makes rules and scrapes quick enough for a test.
const fast = "1s"

// StartPrometheus runs the server of this machine over a folder, with the rules
// of a file. It must be stopped.
func StartPrometheus(ctx context.Context, folder, rules string, targets ...Target) (*Prometheus, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, fmt.Errorf("no prometheus on this machine, install it with hack/debian.sh prometheus: %w", err)
	}
	config, err := writeConfig(folder, rules, targets)
	if err != nil {
		return nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	p := &Prometheus{address: address, out: &bytes.Buffer{}}
	p.command = exec.Command(program, "--config.file", config, "--storage.tsdb.path", filepath.Join(folder, "data"),
		"--web.listen-address", address, "--log.level", "warn")
	p.command.Stdout, p.command.Stderr = p.out, p.out
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start prometheus: %w", err)
	}
	err = shop.Eventually(ctx, time.Minute, func() (bool, error) {
		_, err := p.get(ctx, "/-/ready", nil)
		return err == nil, nil
	})
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("prometheus is not ready: %w\n%s", err, p.out.String())
	}
	return p, nil
}

// URL is the server's address.
func (p *Prometheus) URL() string { return "http://" + p.address }

// Stop ends the server.
func (p *Prometheus) Stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// writeConfig puts the server's configuration into a folder. Rules are evaluated
// as often as is scraped, so that a test need not wait half a minute for each.
func writeConfig(folder, rules string, targets []Target) (string, error) {
	text, err := os.ReadFile(rules)
	if err != nil {
		return "", err
	}
	quick := strings.ReplaceAll(string(text), "interval: 30s", "interval: "+fast)
	if err := os.WriteFile(filepath.Join(folder, "rules.yaml"), []byte(quick), 0o600); err != nil {
		return "", err
	}
	type static struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	type scrape struct {
		Name        string   `json:"job_name"`
		HonorLabels bool     `json:"honor_labels"`
		Static      []static `json:"static_configs"`
	}
	var scrapes []scrape
	for _, t := range targets {
		scrapes = append(scrapes, scrape{Name: t.Job, HonorLabels: true, Static: []static{{Targets: []string{t.Address}, Labels: t.Labels}}})
	}
	// JSON is YAML.
	config, err := json.Marshal(map[string]any{
		"global":         map[string]string{"scrape_interval": fast, "scrape_timeout": fast, "evaluation_interval": fast},
		"rule_files":     []string{filepath.Join(folder, "rules.yaml")},
		"scrape_configs": scrapes,
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "prometheus.yaml")
	return path, os.WriteFile(path, config, 0o600)
}

// Sample is one value of an answer.
type Sample struct {
	// Metric are the labels.
	Metric map[string]string `json:"metric"`
	// Value is the time and the value.
	Value [2]any `json:"value"`
}

// Number tells whether the value is one: a quantile without observations is not.
func (s Sample) Number() bool {
	text, _ := s.Value[1].(string)
	return text != "" && text != "NaN"
}

// Query returns what a PromQL expression is now.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Sample, error) {
	raw, err := p.get(ctx, "/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []Sample `json:"result"`
		} `json:"data"`
	}
	err = json.Unmarshal(raw, &answer)
	return answer.Data.Result, err
}

// LabelValues returns the values of a label in series that match.
func (p *Prometheus) LabelValues(ctx context.Context, label, match string) ([]string, error) {
	raw, err := p.get(ctx, "/api/v1/label/"+label+"/values", url.Values{"match[]": {match}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data []string `json:"data"`
	}
	err = json.Unmarshal(raw, &answer)
	return answer.Data, err
}

// Rule is a rule as the server sees it.
type Rule struct {
	// Name of the record or alert.
	Name string `json:"name"`
	// Type is recording or alerting.
	Type string `json:"type"`
	// Health is ok, err or unknown.
	Health string `json:"health"`
	// LastError of an evaluation.
	LastError string `json:"lastError"`
	// State of an alert: inactive, pending or firing.
	State string `json:"state"`
	// Alerts that are not inactive.
	Alerts []struct {
		// Labels of the alert.
		Labels map[string]string `json:"labels"`
		// Annotations of the alert.
		Annotations map[string]string `json:"annotations"`
	} `json:"alerts"`
}

// Rules returns all rules.
func (p *Prometheus) Rules(ctx context.Context) ([]Rule, error) {
	raw, err := p.get(ctx, "/api/v1/rules", nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []Rule `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, err
	}
	var rules []Rule
	for _, group := range answer.Data.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

func (p *Prometheus) get(ctx context.Context, path string, values url.Values) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path+"?"+values.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, response.Status, raw)
	}
	return raw, nil
}

// FreeAddress returns an address of this machine that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
