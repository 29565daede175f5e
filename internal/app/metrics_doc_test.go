package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/telemetry"
)

// recorder remembers what is registered, so that metrics without a value yet are known too.
type recorder struct {
	*prometheus.Registry

	found map[string]metric
}

type metric struct {
	name, help string
	labels     []string
}

var (
	descParts  = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	constLabel = regexp.MustCompile(`([a-z_]+)="`)
)

// Register implements prometheus.Registerer.
func (r *recorder) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	for desc := range descs {
		parts := descParts.FindStringSubmatch(desc.String())
		if parts == nil || !strings.HasPrefix(parts[1], "commerce_") {
			continue
		}
		var labels []string
		for _, label := range constLabel.FindAllStringSubmatch(parts[3], -1) {
			labels = append(labels, label[1])
		}
		for label := range strings.SplitSeq(parts[4], ",") {
			if label = strings.TrimSpace(strings.TrimPrefix(label, "c(")); label != "" {
				labels = append(labels, strings.TrimSuffix(label, ")"))
			}
		}
		slices.Sort(labels)
		r.found[parts[1]] = metric{name: parts[1], help: strings.ReplaceAll(parts[2], `\"`, `"`), labels: slices.Compact(labels)}
	}
	return r.Registry.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// metricsDoc is the list for people who write queries.
var metricsDoc = filepath.Join("..", "..", "docs", "metrics.md")

// TestMetricsAreDocumented compares docs/metrics.md with what a process with all
// components exports. UPDATE_DOCS=1 writes the table anew.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.migrate(t)
	var command serveCommand
	parser, err := kong.New(&command, kong.Vars{"components": componentList(), "log_level": "error"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(s.serve("--development", "--components", strings.Join(ComponentNames(), ","), "--objects-url", "file://"+t.TempDir(),
		"--billing-stripe-key", stripeKey, "--billing-webhook-secrets", hookSecret)[1:]); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	r, closeAll, err := command.open(t.Context(), logger)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	recording := &recorder{Registry: telemetry.NewRegistry(), found: map[string]metric{}}
	r.registry = recording
	p, err := newProcess(t.Context(), &command.Config, command.Components, nil, r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	table := tableOf(recording.found)
	content, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table: begin -->\n", "<!-- table: end -->"
	before, rest, ok := strings.Cut(string(content), begin)
	written, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/metrics.md has no table")
	}
	if written == table {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("docs/metrics.md is not what the program exports; run this test with UPDATE_DOCS=1\n%s", table)
	}
	if err := os.WriteFile(metricsDoc, []byte(before+begin+table+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tableOf(found map[string]metric) string {
	var out strings.Builder
	out.WriteString("| metric | labels | meaning |\n| --- | --- | --- |\n")
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		labels := make([]string, len(found[name].labels))
		for i, label := range found[name].labels {
			labels[i] = "`" + label + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", name, strings.Join(labels, " "), found[name].help)
	}
	return out.String()
}
