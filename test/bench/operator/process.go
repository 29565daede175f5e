package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// process is the operator.
type process struct {
	program, kubeconfig string
	concurrency         int
	log                 string
	metrics             string
	running             *exec.Cmd
}

// build makes the program.
func (p *process) build(ctx context.Context, folder string) error {
	p.program = filepath.Join(folder, "operator")
	command := exec.CommandContext(ctx, "go", "build", "-o", p.program, "./cmd/operator")
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("build the operator: %w", err)
	}
	return nil
}

// start starts the program and waits for its metrics.
func (p *process) start(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.metrics = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	p.running = exec.CommandContext(ctx, p.program, "--metrics-listen", p.metrics, "--probe-listen", "0", "--concurrency", strconv.Itoa(p.concurrency))
	p.running.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig,
		"OPERATOR_PLATFORM_IMAGE=example.com/commerce", "OPERATOR_POSTGRES_IMAGE=example.com/postgres:17", "OPERATOR_REDIS_IMAGE=example.com/redis:7")
	if p.log != "" {
		file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		p.running.Stderr = file
	}
	if err := p.running.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	const patience = time.Minute
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := p.figures(ctx); err == nil {
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the operator does not tell its metrics")
}

// stop ends the program.
func (p *process) stop() error {
	if p.running == nil {
		return nil
	}
	if err := p.running.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the operator: %w", err)
	}
	err := p.running.Wait()
	p.running = nil
	return err
}

// memory of the process in MiB.
type memory struct{ resident, most float64 }

var memoryLine = regexp.MustCompile(`(?m)^(VmRSS|VmHWM):\s+(\d+) kB$`)

func (p *process) memory() (memory, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.running.Process.Pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for _, match := range memoryLine.FindAllStringSubmatch(string(content), -1) {
		kilobytes, _ := strconv.ParseFloat(match[2], 64) // the pattern admits numbers only
		if match[1] == "VmRSS" {
			m.resident = kilobytes / 1024
		} else {
			m.most = kilobytes / 1024
		}
	}
	return m, nil
}

// figures are what the operator tells about itself.
type figures struct {
	// visits of CommerceStacks, in seconds.
	visits histogram
	errors float64
	// writes are requests that change something, as the client sent them.
	writes float64
}

// histogram counts by upper bounds, as Prometheus does.
type histogram struct {
	count   float64
	buckets []bucket
}

type bucket struct{ bound, count float64 }

// since is what came after before.
func (h histogram) since(before histogram) histogram {
	out := histogram{count: h.count - before.count}
	for i, b := range h.buckets {
		if i < len(before.buckets) {
			b.count -= before.buckets[i].count
		}
		out.buckets = append(out.buckets, b)
	}
	return out
}

// quantile is interpolated within its bucket.
func (h histogram) quantile(q float64) float64 {
	rank := q * h.count
	lower := bucket{}
	for _, b := range h.buckets {
		if b.count >= rank && b.count > lower.count {
			return lower.bound + (b.bound-lower.bound)*(rank-lower.count)/(b.count-lower.count)
		}
		lower = b
	}
	return lower.bound
}

// figures asks the operator.
func (p *process) figures(ctx context.Context) (figures, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.metrics+"/metrics", http.NoBody)
	if err != nil {
		return figures{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return figures{}, err
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return figures{}, fmt.Errorf("read the operator's metrics: %w", err)
	}
	var f figures
	for _, metric := range families["controller_runtime_reconcile_time_seconds"].GetMetric() {
		if label(metric, "controller") != "commercestack" {
			continue
		}
		f.visits.count = float64(metric.GetHistogram().GetSampleCount())
		for _, b := range metric.GetHistogram().GetBucket() {
			f.visits.buckets = append(f.visits.buckets, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount())})
		}
	}
	for _, metric := range families["controller_runtime_reconcile_errors_total"].GetMetric() {
		f.errors += metric.GetCounter().GetValue()
	}
	for _, metric := range families["rest_client_requests_total"].GetMetric() {
		if method := label(metric, "method"); method != http.MethodGet {
			f.writes += metric.GetCounter().GetValue()
		}
	}
	return f, nil
}

func label(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
