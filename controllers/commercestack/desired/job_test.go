package desired

import (
	"slices"
	"strings"
	"testing"

	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	"sigs.k8s.io/yaml"
)

func asText(t *testing.T, object any) string {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMigrationsRunOnceForEachImage(t *testing.T) {
	t.Parallel()
	name := func(change func(*Input)) string {
		in := givenSpec(t, developmentSpec)
		change(&in)
		return *MigrateJob(in).GetName()
	}
	first := name(func(*Input) {})
	if again := name(func(*Input) {}); again != first {
		t.Errorf("the same migration has two names: %s, %s", first, again)
	}
	if rotated := name(func(in *Input) { in.Secrets.Migrate = "shop-migrate-other" }); rotated != first {
		t.Error("a migration runs again because a password was rotated")
	}
	if scaled := name(func(in *Input) { in.Stack.Spec.Observability.LogLevel = "debug" }); scaled != first {
		t.Error("a migration runs again although nothing of it changed")
	}
	for what, change := range map[string]func(*Input){
		"version":    func(in *Input) { in.Stack.Spec.Version = "0.2.0" },
		"repository": func(in *Input) { in.Stack.Spec.Image = "mirror/commercestack" },
		"database":   func(in *Input) { in.MigrationTarget = "db.example.com:5432/shop" },
	} {
		if name(change) == first {
			t.Errorf("another %s is not migrated to", what)
		}
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec+"  demoCatalog: true\n  migrations: {timeout: 2m}\n")
	for kind, c := range map[string]struct {
		job      *batchv1ac.JobApplyConfiguration
		deadline int64
		keys     []string
		args     string
	}{
		JobMigrate:     {MigrateJob(in), 120, MigrateSecretKeys(in), "migrate"},
		JobCreateAdmin: {CreateAdminJob(in), 600, CreateAdminSecretKeys(in), "user create-admin --email admin@example.com"},
		JobDemo:        {DemoJob(in), 600, DemoSecretKeys(in), "import demo"},
	} {
		spec := c.job.Spec
		container := spec.Template.Spec.Containers[0]
		if *spec.ActiveDeadlineSeconds != c.deadline || spec.TTLSecondsAfterFinished != nil || strings.Join(container.Args, " ") != c.args {
			t.Errorf("%s: deadline %d, arguments %v", kind, *spec.ActiveDeadlineSeconds, container.Args)
		}
		if spec.Template.Labels[LabelJob] != kind || c.job.Labels[LabelJob] != kind || *spec.Template.Spec.RestartPolicy != "Never" ||
			*container.TerminationMessagePolicy != "FallbackToLogsOnError" {
			t.Errorf("%s: %s", kind, asText(t, spec.Template))
		}
		var keys []string
		for _, value := range variables(t, container.Env) {
			if key, ok := strings.CutPrefix(value, SecretsFolder+"/"); ok {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		if !slices.Equal(keys, c.keys) {
			t.Errorf("%s names the files %v, and its Secret has %v", kind, keys, c.keys)
		}
		for _, volume := range spec.Template.Spec.Volumes {
			if volume.Secret != nil && *volume.Secret.SecretName == CAName("shop") && (len(volume.Secret.Items) != 1 || *volume.Secret.Items[0].Key != "ca.crt") {
				t.Errorf("%s sees the key of the authority", kind)
			}
		}
	}
	if DemoJob(givenSpec(t, developmentSpec)) != nil || MigrateJob(givenSpec(t, developmentSpec+"  migrations: {mode: Skip}\n")) != nil {
		t.Error("a Job that nobody asked for")
	}
}

func TestSimulator(t *testing.T) {
	t.Parallel()
	if _, ok := Simulator(givenSpec(t, stagingSpec)); ok {
		t.Error("payments of staging are simulated")
	}
	if _, ok := Simulator(givenSpec(t, developmentSpec+"  integrations: {stripe: {secretRef: {name: stripe}}}\n")); ok {
		t.Error("payments with a key are simulated")
	}
	in := givenSpec(t, developmentSpec+"  gateway: {tls: {mode: \"Off\"}}\n")
	server, ok := Simulator(in)
	if !ok {
		t.Fatal("payments of development are not simulated")
	}
	env := variables(t, server.Deployment.Spec.Template.Spec.Containers[0].Env)
	if env["COMMERCE_WEBHOOK_URL"] != "http://shop-gateway/api/v1/billing/webhooks/stripe" {
		t.Errorf("events go to %s", env["COMMERCE_WEBHOOK_URL"])
	}
	for _, key := range SimulatorSecretKeys(in) {
		if !slices.ContainsFunc(simulatorFiles(), func(f secretFile) bool { return env[f.env] == SecretsFolder+"/"+key }) {
			t.Errorf("the simulator does not read %s", key)
		}
	}
}
