package measure

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxPage is the most that is read of a pod's metrics.
const maxPage = 16 << 20

// page is what one pod tells, by the name of the metric.
type page map[string]*dto.MetricFamily

// pages are what pods tell, by address.
type pages map[string]page

// read reads the metrics of a pod.
func (m *Measurer) read(ctx context.Context, address string) (page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", address, err)
	}
	response, err := m.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the metrics of %s: %s", address, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", address, err)
	}
	return found, nil
}

// readAll reads the pods that a question is about.
func (m *Measurer) readAll(ctx context.Context, q Question) pages {
	addresses := slices.Clone(q.Gateways)
	for _, group := range []map[string][]string{q.Canaries, q.Stable} {
		for _, pods := range group {
			addresses = append(addresses, pods...)
		}
	}
	return m.readEach(ctx, addresses)
}

// readEach reads pods at once; one that does not answer is left out.
func (m *Measurer) readEach(ctx context.Context, addresses []string) pages {
	addresses = slices.Compact(slices.Sorted(slices.Values(addresses)))
	var (
		mu    sync.Mutex
		all   sync.WaitGroup
		found = pages{}
	)
	for _, address := range addresses {
		all.Go(func() {
			if p, err := m.read(ctx, address); err == nil {
				mu.Lock()
				defer mu.Unlock()
				found[address] = p
			}
		})
	}
	all.Wait()
	return found
}

// label is the value of a label.
func label(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// identity is what tells the series of a metric apart.
func identity(metric *dto.Metric) string {
	pairs := make([]string, 0, len(metric.GetLabel()))
	for _, pair := range metric.GetLabel() {
		pairs = append(pairs, pair.GetName()+"="+pair.GetValue())
	}
	slices.Sort(pairs)
	return fmt.Sprint(pairs)
}
