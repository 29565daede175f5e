package process_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/hack/cluster/process"
)

func newSupervisor(t *testing.T) process.Supervisor {
	t.Helper()
	return process.Supervisor{Dir: t.TempDir(), Logs: t.TempDir()}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		grace  time.Duration
	}{
		"ends when asked":        {script: "echo started $NAME; exec sleep 60", grace: 10 * time.Second},
		"ends by force":          {script: "trap '' TERM; echo started $NAME; while :; do sleep 0.1; done", grace: 100 * time.Millisecond},
		"ended before by itself": {script: "echo started $NAME", grace: time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			supervisor := newSupervisor(t)
			// The trailing sleep keeps the process there while its record is taken.
			err := supervisor.Start(process.Spec{Name: "one", Args: []string{"sh", "-c", "sleep 0.2; " + test.script}, Env: []string{"NAME=here"}})
			if err != nil {
				t.Fatal(err)
			}
			if !supervisor.Alive("one") {
				t.Fatal("not alive after its start")
			}
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				log, _ := os.ReadFile(supervisor.LogFile("one"))
				if strings.Contains(string(log), "started here") {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("log = %q", log)
				}
			}
			if err := supervisor.Stop("one", test.grace); err != nil {
				t.Fatal(err)
			}
			if supervisor.Alive("one") || len(supervisor.Names()) != 0 {
				t.Error("still there after its stop")
			}
		})
	}
}

// A record left by a crash may name a process id that somebody else has now.
func TestStaleRecordsNameNobody(t *testing.T) {
	t.Parallel()
	supervisor := newSupervisor(t)
	if err := supervisor.Start(process.Spec{Name: "other", Args: []string{"sleep", "60"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = supervisor.Stop("other", time.Second) })
	data, err := os.ReadFile(filepath.Join(supervisor.Dir, "other.pid"))
	if err != nil {
		t.Fatal(err)
	}
	for field, value := range map[string]string{"start": "1", "boot": "before"} {
		var record map[string]any
		if err := json.Unmarshal(data, &record); err != nil {
			t.Fatal(err)
		}
		record[field] = value
		stale, _ := json.Marshal(record)
		if err := os.WriteFile(filepath.Join(supervisor.Dir, "stale.pid"), stale, 0o600); err != nil {
			t.Fatal(err)
		}
		if supervisor.Alive("stale") {
			t.Errorf("a record with another %s counts as alive", field)
		}
		if err := supervisor.Stop("stale", time.Second); err != nil {
			t.Error(err)
		}
	}
	if !supervisor.Alive("other") {
		t.Error("the process that got the id was ended")
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	err := newSupervisor(t).Start(process.Spec{Name: "none", Args: []string{"/nonexistent/program"}})
	if err == nil || !strings.Contains(err.Error(), "start none") {
		t.Errorf("err = %v", err)
	}
}
