package desired

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// leaves is how long a pod stays on a node that does not answer, 0 for Kubernetes' own five minutes.
func leaves(spec *corev1ac.PodSpecApplyConfiguration) int64 {
	seconds := map[string]int64{}
	for _, toleration := range spec.Tolerations {
		if *toleration.Effect == corev1.TaintEffectNoExecute && *toleration.Operator == corev1.TolerationOpExists {
			seconds[*toleration.Key] = *toleration.TolerationSeconds
		}
	}
	if seconds[corev1.TaintNodeNotReady] != seconds[corev1.TaintNodeUnreachable] {
		return -1
	}
	return seconds[corev1.TaintNodeNotReady]
}

// What keeps nothing leaves a lost node early; the server with the volume can run nowhere else and stays.
func TestLostNodes(t *testing.T) {
	t.Parallel()
	for revision, want := range map[int32]int64{3: 0, 4: 30} {
		in := atRevision(givenSpec(t, developmentSpec), revision)
		for _, name := range Components() {
			component, err := ForComponent(in, name)
			if err != nil {
				t.Fatal(err)
			}
			if got := leaves(component.Deployment.Spec.Template.Spec); got != want {
				t.Errorf("renderRevision %d: %s leaves after %d s, want %d", revision, name, got, want)
			}
			if component.Worker == nil {
				continue
			}
			if got := leaves(component.Worker.Spec.Template.Spec); got != want {
				t.Errorf("renderRevision %d: workers of %s leave after %d s, want %d", revision, name, got, want)
			}
		}
		redis, _ := Redis(in)
		if got := leaves(redis.StatefulSet.Spec.Template.Spec); got != want {
			t.Errorf("renderRevision %d: Redis leaves after %d s, want %d", revision, got, want)
		}
		postgres, _ := Postgres(in)
		if got := leaves(postgres.StatefulSet.Spec.Template.Spec); got != 0 {
			t.Errorf("renderRevision %d: PostgreSQL leaves its volume after %d s", revision, got)
		}
	}
}

// The scheduler spreads over zones only where nodes name them, so pods keep off each
// other's nodes by an affinity too: those of a component for themselves, canaries for themselves.
func TestPodsKeepOffEachOthersNodes(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, stagingSpec)
	component, err := ForComponent(in, "order")
	if err != nil {
		t.Fatal(err)
	}
	canary, err := ForCanary(in, "order", 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, template := range map[string]*corev1ac.PodTemplateSpecApplyConfiguration{
		"pods": component.Deployment.Spec.Template, "workers": component.Worker.Spec.Template, "canaries": canary.Deployment.Spec.Template,
	} {
		terms := template.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		if len(terms) != 1 || *terms[0].PodAffinityTerm.TopologyKey != corev1.LabelHostname {
			t.Fatalf("%s: terms = %+v", name, terms)
		}
		for key, value := range terms[0].PodAffinityTerm.LabelSelector.MatchLabels {
			if template.Labels[key] != value {
				t.Errorf("%s keep off pods with %s=%s, they have %q themselves", name, key, value, template.Labels[key])
			}
		}
	}
	old, err := ForComponent(atRevision(in, 3), "order")
	if err != nil || old.Deployment.Spec.Template.Spec.Affinity != nil {
		t.Errorf("renderRevision 3 has the affinity too (%v)", err)
	}
}

// guard runs the script of the server's container with a volume of 1 GiB of which
// the file free says how many KiB are left, and a server that only waits.
type guard struct {
	t       *testing.T
	dir     string
	command *exec.Cmd
	out     strings.Builder
}

func newGuard(t *testing.T, free string) *guard {
	t.Helper()
	g := &guard{t: t, dir: t.TempDir()}
	g.free(free)
	for name, text := range map[string]string{
		"df":                   "#!/bin/sh\necho Filesystem\necho /dev/disk 1048576 0 $(cat " + g.dir + "/free) 0% /data\n",
		"docker-entrypoint.sh": "#!/bin/sh\necho \"$@\" >" + g.dir + "/started\nsleep 60\n",
		"data/PG_VERSION":      "15\n",
		"tls/tls.crt":          "certificate\n",
	} {
		path := filepath.Join(g.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := strings.NewReplacer(
		tmpFolder+"/", g.dir+"/", TLSFolder, g.dir+"/tls", "sleep 5", "sleep 0.02", "kill -HUP 1", "echo reload >>"+g.dir+"/reloads",
	).Replace(guardServer)
	g.command = exec.CommandContext(t.Context(), "/bin/sh", "-c", script, "sh", "postgres")
	g.command.Env = []string{"PATH=" + g.dir + ":" + os.Getenv("PATH"), "PGDATA=" + g.dir + "/data"}
	g.command.Stderr = &g.out
	g.command.WaitDelay = time.Second
	g.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-g.command.Process.Pid, syscall.SIGKILL) // the guard too
		_ = g.command.Wait()
	})
	return g
}

func (g *guard) free(kibibytes string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "next"), []byte(kibibytes), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(g.dir, "next"), filepath.Join(g.dir, "free")); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guard) read(name string) string {
	content, _ := os.ReadFile(filepath.Join(g.dir, name))
	return string(content)
}

func (g *guard) until(what string, holds func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	g.t.Fatalf("not: %s\n%s", what, g.out.String())
}

// A server whose volume is nearly full takes no writes until there is clearly room again.
func TestServerIsReadOnlyWhileItsVolumeIsFull(t *testing.T) {
	t.Parallel()
	g := newGuard(t, "500000")
	g.until("the server starts", func() bool { return strings.Contains(g.read("started"), "config_file="+g.dir+"/postgresql.conf") })
	if want := "include_if_exists '" + g.dir + "/data/postgresql.conf'\ninclude_if_exists '" + g.dir + "/volume.conf'\n"; g.read("postgresql.conf") != want {
		t.Errorf("configuration %q, want %q", g.read("postgresql.conf"), want)
	}
	const refused = "default_transaction_read_only = on\n"
	if got, want := g.read("volume.conf"), "commerce.volume_free = '47'\nmax_wal_size = 102MB\n"; got != want {
		t.Errorf("it is told %q, want %q", got, want)
	}
	g.free("490000") // 46 %: too little a change to tell
	time.Sleep(200 * time.Millisecond)
	if g.read("reloads") != "" {
		t.Error("the server reads its settings again for nothing")
	}
	g.free("52000") // a twentieth of 1 GiB is 52428
	g.until("writes are refused", func() bool {
		return g.read("volume.conf") == "commerce.volume_free = '4'\nmax_wal_size = 102MB\n"+refused && g.read("reloads") == "reload\n"
	})
	g.free("60000") // more, and not yet half as much more
	time.Sleep(200 * time.Millisecond)
	if !strings.HasSuffix(g.read("volume.conf"), refused) {
		t.Error("writing goes on as soon as a little is free")
	}
	g.free("100000")
	g.until("writing goes on", func() bool {
		return g.read("volume.conf") == "commerce.volume_free = '9'\nmax_wal_size = 102MB\n" && g.read("reloads") == "reload\nreload\n"
	})
}

// A server that was ended by a full volume is not started into it again and again.
func TestServerWaitsForRoomToStart(t *testing.T) {
	t.Parallel()
	g := newGuard(t, "10")
	time.Sleep(300 * time.Millisecond)
	if g.read("started") != "" {
		t.Error("the server was started on a full volume")
	}
	g.free("40000")
	g.until("the server starts", func() bool { return g.read("started") != "" })
	// There is room to start, and not to write: a twentieth is 52428.
	if !strings.Contains(g.read("volume.conf"), "read_only = on") {
		t.Errorf("it starts with %q", g.read("volume.conf"))
	}
}
