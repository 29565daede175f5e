package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// benchCase is one kind of request against both servers.
type benchCase struct {
	name string
	// bare and ours are wrk scripts in Lua that make the requests.
	bare, ours  string
	connections int
}

// cases are the requests a shop answers most.
func cases(ids []string) []benchCase {
	return []benchCase{
		{"product by id, all products", get(ids, "/products/"), get(ids, "/api/v1/products/"), connections},
		{"product by id, 100 hot products", get(ids[:min(100, len(ids))], "/products/"), get(ids[:min(100, len(ids))], "/api/v1/products/"), connections},
		{"list page of 20", path("/products"), path("/api/v1/products?pageSize=20"), connections},
		{"search", path("/search?q=" + escape("bench product 77")), path("/api/v1/products?q=" + escape("bench product 77")), connections},
		{"place order, 8 workers", place(ids, "/orders"), place(ids, "/api/v1/orders"), 8},
	}
}

func path(p string) string { return fmt.Sprintf("wrk.path = %q\n", p) }

func get(ids []string, prefix string) string {
	return list(ids) + fmt.Sprintf(`
local n = 0
request = function()
  n = n + 7919
  return wrk.format("GET", %q .. ids[n %% #ids + 1])
end
`, prefix)
}

func place(ids []string, target string) string {
	return list(ids) + fmt.Sprintf(`
local n = 0
local headers = {["Content-Type"] = "application/json"}
request = function()
  n = n + 7919
  return wrk.format("POST", %q, headers, '{"email":"bench@example.com","items":[{"productId":"' .. ids[n %% #ids + 1] .. '","quantity":1}]}')
end
`, target)
}

func list(ids []string) string {
	return `ids = {"` + strings.Join(ids, `","`) + "\"}\n"
}

// result is what wrk measured.
type result struct {
	rate                     float64
	p50, p95, p99            float64
	requests, errors, socket int64
}

const report = `
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %f %f %f %f\n", summary.requests, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
`

var resultLine = regexp.MustCompile(`RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+)`)

func (s *stack) load(ctx context.Context, script, address string, conns, seconds int) (result, error) {
	file := filepath.Join(s.folder, "load.lua")
	if err := os.WriteFile(file, []byte(script+report), 0o600); err != nil {
		return result{}, err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(conns), fmt.Sprintf("-d%ds", seconds), "-s", file, "http://"+address).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	match := resultLine.FindStringSubmatch(string(out))
	if match == nil {
		return result{}, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	var numbers [7]float64
	for i := range numbers {
		numbers[i], _ = strconv.ParseFloat(match[i+1], 64) // the pattern admits numbers only
	}
	return result{
		requests: int64(numbers[0]), errors: int64(numbers[1]), socket: int64(numbers[2]), rate: numbers[3],
		p50: numbers[4], p95: numbers[5], p99: numbers[6],
	}, nil
}

// measure runs bare and platform in turn and prints the median pair by ratio.
func (s *stack) measure(ctx context.Context, c benchCase, o options) error {
	type pair struct {
		bare, ours          result
		transactions, alloc float64
		cpu, bareCPU        float64 // seconds per request
	}
	var pairs []pair
	for _, warm := range []struct{ script, address string }{{c.bare, s.bareAddr}, {c.ours, s.address}} {
		if _, err := s.load(ctx, warm.script, warm.address, c.connections, 1); err != nil {
			return err
		}
	}
	for range o.rounds {
		var p pair
		idle, err := s.cpu(s.bare)
		if err != nil {
			return err
		}
		if p.bare, err = s.load(ctx, c.bare, s.bareAddr, c.connections, o.seconds); err != nil {
			return err
		}
		busy, err := s.cpu(s.bare)
		if err != nil {
			return err
		}
		p.bareCPU = (busy - idle) / max(1, float64(p.bare.requests))
		if o.dearest > 0 {
			if _, err := s.pool.Exec(ctx, "SELECT pg_stat_statements_reset()"); err != nil {
				return err
			}
		}
		before, err := s.counters(ctx)
		if err != nil {
			return err
		}
		profiled := s.profile(ctx, o)
		if p.ours, err = s.load(ctx, c.ours, s.address, c.connections, o.seconds); err != nil {
			return err
		}
		if err := <-profiled; err != nil {
			return err
		}
		after, err := s.counters(ctx)
		if err != nil {
			return err
		}
		n := max(1, float64(p.ours.requests))
		p.transactions, p.alloc = (after.transactions-before.transactions)/n, (after.allocations-before.allocations)/n
		p.cpu = (after.cpu - before.cpu) / n
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return int(1e6 * (a.ours.rate/a.bare.rate - b.ours.rate/b.bare.rate))
	})
	m := pairs[len(pairs)/2]
	fmt.Printf("%-34s %9.0f %9.0f %6.0f%% %8.2f %8.2f %8.2f %7d %8.2f %9.0f %7.2f %8.2f\n", c.name, m.bare.rate, m.ours.rate, 100*m.ours.rate/m.bare.rate,
		m.ours.p50, m.ours.p95, m.ours.p99, m.ours.errors+m.ours.socket, m.transactions, m.alloc, 1000*m.cpu, 1000*m.bareCPU)
	if o.dearest > 0 {
		return s.dearest(ctx, o.dearest)
	}
	return nil
}

// profile writes a CPU profile of the platform while it is under load.
func (s *stack) profile(ctx context.Context, o options) <-chan error {
	done := make(chan error, 1)
	if o.profile == "" {
		done <- nil
		return done
	}
	go func() {
		done <- s.save(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, o.seconds-1)), o.profile)
	}()
	return done
}

// save writes what the operators' port answers to a file.
func (s *stack) save(ctx context.Context, path, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}
