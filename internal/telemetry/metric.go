package telemetry

import (
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry with the metrics of the Go runtime, the
// process and the build.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	version, revision, goVersion := Build()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "commerce_build_info", Help: "What runs here; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": goVersion},
	})
	info.Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return registry
}

// Registry takes metrics and gives them to Prometheus.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// MetricsHandler serves the registry to Prometheus.
func MetricsHandler(registry Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, MaxRequestsInFlight: 4})
}

// Build returns the module version, the revision it was built from and the Go
// version; "unknown" where the program was built without them.
func Build() (version, revision, goVersion string) {
	version, revision, goVersion = "unknown", "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision, goVersion
	}
	goVersion = info.GoVersion
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			revision = setting.Value
		}
	}
	return version, revision, goVersion
}
