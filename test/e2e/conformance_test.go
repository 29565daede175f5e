package e2e_test

import (
	"strings"
	"testing"

	"github.com/commercestack/commercestack/test/conformance"
	"github.com/commercestack/commercestack/test/shop"
)

// TestConformance runs the public suite against both shapes. It is not
// parallel: its cases make the payment provider fail, which the other tests
// would feel.
func TestConformance(t *testing.T) { //nolint:paralleltest // see above
	t.Run("shapes", func(t *testing.T) { //nolint:paralleltest // the group ends before the other tests go on
		for _, p := range platforms {
			t.Run(p.shape, func(t *testing.T) {
				t.Parallel()
				conform(t, p)
			})
		}
	})
}

func conform(t *testing.T, p *platform) {
	t.Helper()
	var out shop.Output
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: p.guest.URL, AdminEmail: adminEmail, AdminPassword: adminPassword, SimulatorKey: p.simulatorKey, Out: &out,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, result := range report.Results {
		t.Run(strings.ReplaceAll(result.Case.Name, "-", "_"), func(t *testing.T) { //nolint:paralleltest // it has run already
			if result.Skipped != "" {
				t.Errorf("it was skipped: %s", result.Skipped)
			}
			if result.Err != nil {
				t.Errorf("trap %d: %s\n%v", result.Case.Trap, result.Case.Rule, result.Err)
			}
		})
	}
	if report.Passed() != len(conformance.Cases()) {
		t.Errorf("%d of %d cases hold", report.Passed(), len(conformance.Cases()))
	}
}
