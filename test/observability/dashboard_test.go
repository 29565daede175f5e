package observability_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/commercestack/commercestack/test/observability"
	"github.com/commercestack/commercestack/test/shop"
)

// chosen are the values of the variables.
var chosen = map[string]string{"namespace": "shop", "stack": ".*"}

// patience is how long a figure may take to appear: rates need two scrapes.
const patience = 2 * time.Minute

func TestEveryQueryOfThePlatformReturnsData(t *testing.T) {
	t.Parallel()
	board, err := observability.ReadDashboard("../../config/dashboards/platform.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(board.Panels) < 40 || len(board.Variables) != 2 {
		t.Fatalf("%d panels, %d variables were read", len(board.Panels), len(board.Variables))
	}
	returnsData(t, prometheus, board)
	for i, want := range []string{"[shop]", "[demo]"} {
		variable := board.Variables[i]
		values, err := prometheus.LabelValues(t.Context(), variable.Label, observability.Fill(variable.Match, chosen))
		if err != nil || fmt.Sprint(values) != want {
			t.Errorf("the choice of %s is %v, %v, want %s", variable.Name, values, err, want)
		}
	}
}

// returnsData runs every query of a dashboard until each has returned a number.
func returnsData(t *testing.T, server *observability.Prometheus, board *observability.Dashboard) {
	t.Helper()
	// Figures appear at their own pace; one patience is enough for all.
	missing := make(map[string]string)
	for _, panel := range board.Panels {
		for i, query := range panel.Queries {
			missing[fmt.Sprintf("%s, query %d", panel.Title, i+1)] = observability.Fill(query, chosen)
		}
	}
	err := shop.Eventually(t.Context(), patience, func() (bool, error) {
		for name, expr := range missing {
			samples, err := server.Query(t.Context(), expr)
			if err != nil {
				return false, fmt.Errorf("%s: %w", name, err)
			}
			if slices.ContainsFunc(samples, observability.Sample.Number) {
				delete(missing, name)
			}
		}
		return len(missing) == 0, nil
	})
	if err != nil {
		t.Error(err)
	}
	for name, expr := range missing {
		t.Errorf("%s returns nothing:\n%s", name, expr)
	}
}

// TestDashboardsAreDistinct guards what Grafana demands of files in one folder.
func TestDashboardsAreDistinct(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../config/dashboards/*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	titles := make(map[string]bool)
	for _, file := range files {
		board, err := observability.ReadDashboard(file)
		if err != nil {
			t.Fatal(err)
		}
		if titles[board.Title] {
			t.Errorf("two dashboards are called %s", board.Title)
		}
		titles[board.Title] = true
		for _, panel := range board.Panels {
			if panel.Title == "" || len(panel.Queries) == 0 {
				t.Errorf("%s: panel %q has %d queries", board.Title, panel.Title, len(panel.Queries))
			}
		}
	}
}
