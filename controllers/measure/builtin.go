package measure

import (
	"math"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"

	"github.com/commercestack/commercestack/internal/topology"
)

// The metrics that are read; see docs/metrics.md.
const (
	gatewayWeight   = "commerce_gateway_canary_weight"
	gatewayRequests = "commerce_gateway_upstream_requests_total"
	gatewaySeconds  = "commerce_gateway_upstream_seconds"
	httpRequests    = "commerce_http_requests_total"
	httpSeconds     = "commerce_http_request_duration_seconds"
	payments        = "commerce_payments_total"

	variantCanary = "canary"
	billing       = "billing"
)

// serverErrors are the codes that are no number and mean that the server failed.
var serverErrors = []string{"5xx", "error", "unknown", "internal", "unavailable", "data_loss", "deadline_exceeded", "unimplemented"}

func failedCode(code string) bool {
	if number, err := strconv.Atoi(code); err == nil {
		return number >= 500
	}
	return slices.Contains(serverErrors, code)
}

// window is what pods told at both ends of an interval.
type window struct{ before, now pages }

// grown calls each for every series of a metric on some pods with how much it grew.
func (w window) grown(addresses []string, metric string, each func(series *dto.Metric, count float64)) {
	for _, address := range addresses {
		old := map[string]float64{}
		for _, series := range w.before[address][metric].GetMetric() {
			old[identity(series)] = series.GetCounter().GetValue()
		}
		for _, series := range w.now[address][metric].GetMetric() {
			each(series, growth(old[identity(series)], series.GetCounter().GetValue()))
		}
	}
}

// growth of a counter, which begins at 0 again when its pod does.
func growth(before, now float64) float64 {
	if now < before {
		return now
	}
	return now - before
}

// errorRate is the share of the canary's answers that are server errors, of the
// component that has most of them: one that answers much hides no other.
func errorRate(q Question, w window) *float64 {
	total, bad := map[string]float64{}, map[string]float64{}
	add := func(component, code string, count float64) {
		total[component] += count
		if failedCode(code) {
			bad[component] += count
		}
	}
	w.grown(q.Gateways, gatewayRequests, func(series *dto.Metric, count float64) {
		if component := label(series, "component"); label(series, "variant") == variantCanary && slices.Contains(q.Components, component) {
			add(component, label(series, "code"), count)
		}
	})
	// A canary of the gateway counts what it answers itself.
	w.grown(q.Canaries[topology.Gateway], httpRequests, func(series *dto.Metric, count float64) {
		add(topology.Gateway, label(series, "status"), count)
	})
	var worst *float64
	for component, count := range total {
		if count > 0 {
			worst = greater(worst, bad[component]/count)
		}
	}
	return worst
}

func greater(worst *float64, value float64) *float64 {
	if worst == nil || value > *worst {
		return &value
	}
	return worst
}

// latency is the 95th percentile of the canary's answers in seconds, of the
// slowest component.
func latency(q Question, w window) *float64 {
	counts := map[string]map[float64]float64{}
	add := func(addresses []string, metric string, component func(*dto.Metric) string) {
		for _, address := range addresses {
			old := map[string]*dto.Histogram{}
			for _, series := range w.before[address][metric].GetMetric() {
				old[identity(series)] = series.GetHistogram()
			}
			for _, series := range w.now[address][metric].GetMetric() {
				name := component(series)
				if name == "" {
					continue
				}
				if counts[name] == nil {
					counts[name] = map[float64]float64{}
				}
				addBuckets(counts[name], old[identity(series)], series.GetHistogram())
			}
		}
	}
	add(q.Gateways, gatewaySeconds, func(series *dto.Metric) string {
		if component := label(series, "component"); label(series, "variant") == variantCanary && slices.Contains(q.Components, component) {
			return component
		}
		return ""
	})
	add(q.Canaries[topology.Gateway], httpSeconds, func(*dto.Metric) string { return topology.Gateway })
	var worst *float64
	for _, buckets := range counts {
		if value, ok := quantile(buckets, 0.95); ok {
			worst = greater(worst, value)
		}
	}
	return worst
}

// addBuckets adds how much each cumulative bucket grew.
func addBuckets(sum map[float64]float64, before, now *dto.Histogram) {
	old := map[float64]float64{math.Inf(1): float64(before.GetSampleCount())}
	if now.GetSampleCount() < before.GetSampleCount() {
		old = map[float64]float64{}
		before = nil
	}
	for _, bucket := range before.GetBucket() {
		old[bucket.GetUpperBound()] = float64(bucket.GetCumulativeCount())
	}
	for _, bucket := range now.GetBucket() {
		if !math.IsInf(bucket.GetUpperBound(), 1) {
			sum[bucket.GetUpperBound()] += float64(bucket.GetCumulativeCount()) - old[bucket.GetUpperBound()]
		}
	}
	sum[math.Inf(1)] += float64(now.GetSampleCount()) - old[math.Inf(1)]
}

// quantile of cumulative buckets, between two bounds in proportion; ok is false
// without observations.
func quantile(buckets map[float64]float64, q float64) (value float64, ok bool) {
	total := buckets[math.Inf(1)]
	if total <= 0 {
		return 0, false
	}
	var bounds []float64
	for bound := range buckets {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	lower, below := 0.0, 0.0
	for _, bound := range bounds {
		count := buckets[bound]
		if count >= q*total {
			if math.IsInf(bound, 1) {
				// Slower than the greatest bound, nobody knows how much.
				return lower * 2, true
			}
			return lower + (bound-lower)*(q*total-below)/max(count-below, 1e-9), true
		}
		lower, below = bound, count
	}
	return lower, true
}

// confidence is how many standard deviations of chance are forgiven.
const confidence = 3

// paymentLoss is the share of payments that the canary of billing lost beyond
// what its own pods lose and chance explains: customers' cards are refused every
// day, and that is no fault of a version.
func paymentLoss(q Question, w window) *float64 {
	count := func(addresses []string) (lost, total float64) {
		w.grown(addresses, payments, func(series *dto.Metric, n float64) {
			switch label(series, "status") {
			case "FAILED", "UNKNOWN":
				lost += n
				total += n
			case "SUCCEEDED", "AUTHORIZED":
				total += n
			}
		})
		return lost, total
	}
	lost, total := count(q.Canaries[billing])
	if total == 0 {
		return nil
	}
	stableLost, stableTotal := count(q.Stable[billing])
	usual := 0.0
	if stableTotal > 0 {
		usual = stableLost / stableTotal
	}
	chance := (lost + stableLost) / (total + stableTotal)
	value := max(lost/total-usual-confidence*math.Sqrt(chance*(1-chance)/total), 0)
	return &value
}
