package conformance

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestEveryTrapIsHeld wants each trap to have a case, or a component test that exists.
func TestEveryTrapIsHeld(t *testing.T) {
	t.Parallel()
	seen := make(map[int]int)
	names := make(map[string]bool)
	for _, c := range Cases() {
		seen[c.Trap]++
		if c.Trap < 0 || c.Trap > Traps {
			t.Errorf("case %s has trap %d", c.Name, c.Trap)
		}
		if names[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		names[c.Name] = true
		if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`).MatchString(c.Name) || !strings.HasSuffix(c.Rule, ".") || c.Run == nil {
			t.Errorf("case %q lacks a name, a rule or a body", c.Name)
		}
	}
	for trap := 1; trap <= Traps; trap++ {
		if seen[trap] == 0 && len(HeldBy(trap)) == 0 {
			t.Errorf("nothing holds trap %d", trap)
		}
	}
}

func TestHoldersExist(t *testing.T) {
	t.Parallel()
	for _, h := range holders {
		folder := filepath.Join("..", "..", filepath.FromSlash(h.Folder))
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(content), "\nfunc "+h.Test+"(")
		}
		if !found {
			t.Errorf("trap %d: there is no test %s in %s", h.Trap, h.Test, h.Folder)
		}
		if h.Why == "" {
			t.Errorf("trap %d: %s does not say why", h.Trap, h.Test)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	tests := []struct {
		only []int
		want string
	}{
		{nil, ""},
		{[]int{4, 7}, ""},
		{[]int{0}, ""},
		{[]int{30}, "there is no trap 30"},
		{[]int{4, 17}, "component tests hold it"},
	}
	for _, tt := range tests {
		cases, err := choose(tt.only)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("choose(%v) = %v, want %q", tt.only, err, tt.want)
			}
			continue
		}
		if err != nil || len(cases) == 0 {
			t.Errorf("choose(%v) = %d cases, %v", tt.only, len(cases), err)
		}
		for i, c := range cases {
			if i > 0 && cases[i-1].Trap > c.Trap {
				t.Errorf("choose(%v) is not in order of the traps", tt.only)
			}
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		result Result
		want   string
	}{
		{Result{Case: Case{Trap: 4, Name: "races"}, Took: 1500 * time.Millisecond}, "trap 04   races                                            1500 ms  ok"},
		{Result{Case: Case{Name: "shape"}, Err: errors.New("no id")}, "contract  shape                                               0 ms  FAILED: no id"},
		{Result{Case: Case{Name: "shape"}, Skipped: "no key"}, "contract  shape                                               0 ms  skipped: no key"},
	}
	report := Report{}
	for _, tt := range tests {
		if got := tt.result.String(); got != tt.want {
			t.Errorf("line is %q, want %q", got, tt.want)
		}
		report.Results = append(report.Results, tt.result)
	}
	if report.Passed() != 1 || report.Failed() != 1 || report.Skipped() != 1 {
		t.Errorf("counts are %d, %d, %d", report.Passed(), report.Failed(), report.Skipped())
	}
}

func TestTogether(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	err := together(5, func(i int) error {
		if i == 2 {
			return nil
		}
		return boom
	})
	if !errors.Is(err, boom) || err.Error() != "boom (and 3 more)" {
		t.Errorf("together = %v", err)
	}
	if err := together(3, func(int) error { return nil }); err != nil {
		t.Errorf("together = %v", err)
	}
}
