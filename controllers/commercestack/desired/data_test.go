package desired

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// flags are the -c parameters of the server's command line.
func flags(t *testing.T, in Input) map[string]string {
	t.Helper()
	server, ok := Postgres(in)
	if !ok {
		t.Fatal("there is no PostgreSQL")
	}
	args := server.StatefulSet.Spec.Template.Spec.Containers[0].Args
	all := make(map[string]string)
	for i := 1; i < len(args); i += 2 {
		name, value, found := strings.Cut(args[i+1], "=")
		if args[i] != "-c" || !found {
			t.Fatalf("%q %q is not a parameter", args[i], args[i+1])
		}
		all[name] = value
	}
	return all
}

func TestPostgresParameters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		want map[string]string
	}{
		"TLS alone, by password alone": {developmentSpec, map[string]string{
			"ssl": "on", "ssl_min_protocol_version": "TLSv1.3", "ssl_key_file": "/etc/commerce/tls/tls.key", "password_encryption": "scram-sha-256",
			"hba_file": "/etc/commerce/postgresql/pg_hba.conf", "max_connections": "200", "shared_buffers": "256MB",
		}},
		"by the size of the server": {
			productionSpec + "  postgres: {mode: StatefulSet, resources: {limits: {memory: 8Gi}}}\n",
			map[string]string{"max_connections": "1000", "shared_buffers": "2048MB", "effective_cache_size": "6144MB"},
		},
		"the spec's own": {
			productionSpec + "  postgres: {mode: StatefulSet, parameters: {shared_buffers: 1GB, work_mem: 8MB}}\n",
			map[string]string{"shared_buffers": "1GB", "work_mem": "8MB"},
		},
		"never those that guard the way in": {
			productionSpec + "  postgres: {mode: StatefulSet, parameters: {ssl: \"off\", hba_file: /tmp/x}}\n",
			map[string]string{"ssl": "on", "hba_file": "/etc/commerce/postgresql/pg_hba.conf"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := flags(t, givenSpec(t, c.spec))
			for parameter, want := range c.want {
				if got[parameter] != want {
					t.Errorf("%s = %q, want %q", parameter, got[parameter], want)
				}
			}
		})
	}
}

func TestANewVersionDoesNotRestartData(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec)
	template := func(build func(Input) (Server, bool)) string {
		server, _ := build(in)
		return asText(t, server.StatefulSet.Spec.Template)
	}
	postgres, redis := template(Postgres), template(Redis)
	in.Stack.Spec.Version = "0.2.0"
	if template(Postgres) != postgres || template(Redis) != redis {
		t.Error("a new version of the platform changes the pods of PostgreSQL or Redis")
	}
	in.RedisCertificate = "another"
	if template(Redis) == redis {
		t.Error("Redis does not take a new certificate")
	}
}

func TestDataOutlivesTheStackUnlessItSaysOtherwise(t *testing.T) {
	t.Parallel()
	for policy, owned := range map[string]bool{"Retain": false, "Snapshot": false, "Delete": true} {
		in := givenSpec(t, developmentSpec+"  deletionPolicy: "+policy+"\n")
		server, _ := Postgres(in)
		in.PostgresMode = v1alpha1.DataManaged
		for name, owners := range map[string]int{
			"volume of PostgreSQL": len(server.Claim.OwnerReferences), "volume of uploads": len(ObjectVolume(in).OwnerReferences),
			"Cluster": len(CloudNativePG(in).GetOwnerReferences()),
		} {
			if (owners > 0) != owned {
				t.Errorf("with %s the %s has %d owners", policy, name, owners)
			}
		}
		if len(server.StatefulSet.OwnerReferences) != 1 {
			t.Errorf("with %s the StatefulSet outlives the stack", policy)
		}
	}
}

func TestModesOfData(t *testing.T) {
	t.Parallel()
	external := givenSpec(t, developmentSpec+"  postgres: {mode: External, external: {secretRef: {name: pg}}}\n  redis: {mode: External, external: {secretRef: {name: r}}}\n"+
		"  objectStorage: {mode: S3, s3: {bucket: shop}}\n")
	_, postgres := Postgres(external)
	_, redis := Redis(external)
	if postgres || redis || CloudNativePG(external) != nil || ObjectVolume(external) != nil || PostgresHost(external) != "" || RedisHost(external) != "" {
		t.Error("servers of others are run here too")
	}
	for _, policy := range NetworkPolicies(external) {
		if name := *policy.GetName(); name == "shop-postgres" || name == "shop-redis" {
			t.Errorf("there is a policy %s for a server that is elsewhere", name)
		}
	}
	own := givenSpec(t, developmentSpec)
	if PostgresHost(own) != "shop-postgres" || RedisHost(own) != "shop-redis" {
		t.Errorf("hosts = %s, %s", PostgresHost(own), RedisHost(own))
	}
}

func TestCloudNativePG(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec       string
		instances  int64
		durability string
	}{
		"one in development":                         {developmentSpec + "  postgres: {mode: Managed}\n", 1, ""},
		"three in production, and each order on two": {productionSpec + "  postgres: {mode: Managed}\n", 3, "required"},
		"two must not wait for each other":           {productionSpec + "  postgres: {mode: Managed, instances: 2}\n", 2, "preferred"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, c.spec)
			if PostgresHost(in) != "shop-postgres-rw" {
				t.Errorf("host = %s", PostgresHost(in))
			}
			cluster := CloudNativePG(in)
			instances, _, _ := unstructured.NestedInt64(cluster.Object, "spec", "instances")
			durability, _, _ := unstructured.NestedString(cluster.Object, "spec", "postgresql", "synchronous", "dataDurability")
			certificate, _, _ := unstructured.NestedString(cluster.Object, "spec", "certificates", "serverTLSSecret")
			if instances != c.instances || durability != c.durability || certificate != "shop-postgres-tls" {
				t.Errorf("instances %d, durability %q, certificate %q", instances, durability, certificate)
			}
			if _, ok, _ := unstructured.NestedString(cluster.Object, "spec", "imageName"); ok {
				t.Error("an image that is not made for CloudNativePG")
			}
			// What cannot be copied cannot be sent.
			_ = cluster.DeepCopy()
			names := CertificateNames(in, NamePostgres)
			if !slices.Contains(names, "shop-postgres-rw.shops.svc") {
				t.Errorf("the certificate is for %v", names)
			}
		})
	}
}

func TestRedisMemory(t *testing.T) {
	t.Parallel()
	server, _ := Redis(givenSpec(t, developmentSpec+"  redis: {maxMemory: 100Mi}\n"))
	container := server.StatefulSet.Spec.Template.Spec.Containers[0]
	if i := slices.Index(container.Args, "--maxmemory"); i < 0 || container.Args[i+1] != "104857600" {
		t.Errorf("arguments = %v", container.Args)
	}
	if limit := container.Resources.Limits.Memory(); limit.Value() != 209715200 {
		t.Errorf("the limit is %s, want twice maxMemory", limit)
	}
	if i := slices.Index(container.Args, "--port"); i < 0 || container.Args[i+1] != "0" {
		t.Errorf("Redis listens without TLS: %v", container.Args)
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ given, want string }{
		"by default":                       {"{}", "25m 64Mi | 0 512Mi"},
		"requests alone":                   {"{requests: {cpu: 100m, memory: 128Mi}}", "100m 128Mi | 0 512Mi"},
		"a request above the usual limit":  {"{requests: {memory: 1Gi}}", "25m 1Gi | 0 1Gi"},
		"a limit below the usual request":  {"{limits: {cpu: 10m, memory: 32Mi}}", "10m 32Mi | 10m 32Mi"},
		"CPU is limited on demand":         {"{limits: {cpu: \"1\"}}", "25m 64Mi | 1 512Mi"},
		"CPU is requested for autoscaling": {"{requests: {memory: 1Gi}, limits: {memory: 2Gi}}", "25m 1Gi | 0 2Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, developmentSpec+"  services: [{name: order, resources: "+c.given+"}]\n")
			order, err := ForComponent(in, "order")
			if err != nil {
				t.Fatal(err)
			}
			r := order.Deployment.Spec.Template.Spec.Containers[0].Resources
			got := r.Requests.Cpu().String() + " " + r.Requests.Memory().String() + " | " + r.Limits.Cpu().String() + " " + r.Limits.Memory().String()
			if got != c.want {
				t.Errorf("requests | limits = %s, want %s", got, c.want)
			}
		})
	}
}

// A machine that is short of CPU must not lose its database to a probe, while
// requests are kept from a server that does not answer within seconds.
func TestServersAreRestartedLateAndAvoidedEarly(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(Input) (Server, bool){"PostgreSQL": Postgres, "Redis": Redis} {
		server, _ := build(givenSpec(t, developmentSpec))
		container := server.StatefulSet.Spec.Template.Spec.Containers[0]
		live, ready, start := container.LivenessProbe, container.ReadinessProbe, container.StartupProbe
		if dead := *live.PeriodSeconds * *live.FailureThreshold; dead < 180 || dead > 600 {
			t.Errorf("%s is restarted after %d s without an answer, want minutes", name, dead)
		}
		if *live.TimeoutSeconds < 20 || *live.TimeoutSeconds > *live.PeriodSeconds {
			t.Errorf("%s has %d s to say that it lives, every %d s", name, *live.TimeoutSeconds, *live.PeriodSeconds)
		}
		if away := *ready.PeriodSeconds * *ready.FailureThreshold; away > 10 {
			t.Errorf("%s gets requests for %d s after it stopped answering", name, away)
		}
		if begun := *start.PeriodSeconds * *start.FailureThreshold; begun < 300 {
			t.Errorf("%s has %d s to start", name, begun)
		}
	}
	postgres, _ := Postgres(givenSpec(t, developmentSpec))
	live := postgres.StatefulSet.Spec.Template.Spec.Containers[0].LivenessProbe
	// pg_isready gives up after three seconds unless it is told otherwise.
	if line := live.Exec.Command[2]; !strings.Contains(line, "--timeout=25") || *live.TimeoutSeconds <= 25 {
		t.Errorf("the probe %q does not wait as long as it may, %d s", line, *live.TimeoutSeconds)
	}
}

// A new cluster begins with what another one kept, and does not write on its log.
func TestCloudNativePGRecovers(t *testing.T) {
	t.Parallel()
	store := "  backup: {schedule: 0 3 * * *, destination: {bucket: backups}}\n"
	for name, c := range map[string]struct {
		from            string
		target          string
		server, folders string
	}{
		"to the end of the log": {"{path: .backups/old/store, destination: {bucket: old, secretRef: {name: s}}, recovery: {}}", "", "store-postgres", "s3://old/.backups/old/store"},
		"to a moment":           {"{destination: {bucket: old}, recovery: {time: \"2026-11-26T04:00:00+01:00\", server: shop-postgres-1a2b}}", "2026-11-26T03:00:00Z", "shop-postgres-1a2b", "s3://old/.backups/shops/shop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, productionSpec+"  postgres: {mode: Managed}\n"+store+"  restore: {from: "+c.from+"}\n")
			cluster := CloudNativePG(in).Object
			read := func(path ...string) string {
				text, _, _ := unstructured.NestedString(cluster, append([]string{"spec"}, path...)...)
				return text
			}
			origins, _, _ := unstructured.NestedSlice(cluster, "spec", "externalClusters")
			if len(origins) != 1 {
				t.Fatalf("%d origins", len(origins))
			}
			origin, _ := origins[0].(map[string]any)
			barman, _ := origin["barmanObjectStore"].(map[string]any)
			if read("bootstrap", "recovery", "source") != origin["name"] || read("bootstrap", "recovery", "recoveryTarget", "targetTime") != c.target ||
				barman["serverName"] != c.server || barman["destinationPath"] != c.folders {
				t.Errorf("the cluster:\n%s", asText(t, cluster))
			}
			if own := read("backup", "barmanObjectStore", "serverName"); own == "" || own == c.server || own == ObjectName(in.Stack.Name, NamePostgres) {
				t.Errorf("its own log is of the server %q", own)
			}
			if _, found, _ := unstructured.NestedMap(cluster, "spec", "bootstrap", "initdb"); found {
				t.Error("it begins empty, too")
			}
			if RestoreJob(in) != nil {
				t.Error("a Job restores besides")
			}
		})
	}
}
