package desired

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

func TestRotationJobs(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec)
	in.Stack.Name = strings.Repeat("s", 30)
	for verb, c := range map[string]struct {
		kind, args string
		env        map[string]string
	}{
		VerbSetLogin:         {JobRotate, "database set-login", map[string]string{"COMMERCE_COMPONENT": "order", "COMMERCE_TIMEOUT": "2m"}},
		VerbRetireLogin:      {JobRotate, "database retire-login", map[string]string{"COMMERCE_COMPONENT": "order", "COMMERCE_DATABASE_ROLE": "role"}},
		VerbCacheSetLogin:    {JobRotateCache, "cache set-login", map[string]string{"COMMERCE_REDIS_URL_FILE": "/etc/commerce/secrets/redis-url", "COMMERCE_TLS_CA_FILE": CAFile}},
		VerbCacheRetireLogin: {JobRotateCache, "cache retire-login", map[string]string{"COMMERCE_REDIS_USER": "role"}},
		VerbRewrite:          {JobRotate, "encryption rewrite", map[string]string{"COMMERCE_ORDER_DATABASE_URL_FILE": "/etc/commerce/secrets/database-url-order"}},
	} {
		r := Rotation{Verb: verb, ID: "the run", Component: v1alpha1.ComponentOrder, Secret: "mine"}
		if strings.HasSuffix(verb, VerbRetireLogin) {
			r.Role = "role"
		}
		job := RotationJob(in, r)
		container := job.Spec.Template.Spec.Containers[0]
		if name := *job.GetName(); len(name) > 63 || name != RotationJobName(in.Stack.Name, verb, r.ID) || job.Annotations[AnnotationRotation] != r.ID {
			t.Errorf("%s is named %s", verb, name)
		}
		if strings.Join(container.Args, " ") != c.args || job.Spec.Template.Labels[LabelJob] != c.kind || *job.Spec.BackoffLimit != rotationTries {
			t.Errorf("%s: %s", verb, asText(t, job.Spec))
		}
		env := variables(t, container.Env)
		for name, want := range c.env {
			if env[name] != want {
				t.Errorf("%s: %s is %q, want %q", verb, name, env[name], want)
			}
		}
		var keys []string
		for _, value := range env {
			if key, ok := strings.CutPrefix(value, SecretsFolder+"/"); ok {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		if want := RotationSecretKeys(verb); !slices.Equal(keys, want) {
			t.Errorf("%s names the files %v, and its Secret has %v", verb, keys, want)
		}
		if other := RotationJobName(in.Stack.Name, verb, "another run"); other == *job.GetName() {
			t.Errorf("two runs of %s are one Job", verb)
		}
	}
}

func TestUsersOfRedisAreOfTheSecondRevision(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec)
	if !RedisUsers(in) || RedisUsers(atRevision(in, 1)) {
		t.Error("the revision does not decide")
	}
	if RedisUsers(givenSpec(t, developmentSpec+"  redis: {mode: External, external: {secretRef: {name: r}}}\n")) {
		t.Error("an external server's users are not ours")
	}
}

// A real server reads the file and lets in who stands in it, to data alone.
func TestRedisReadsTheUsers(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("Redis is not installed (hack/debian.sh redis): %v", err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, KeyRedisUsers)
	users, err := RedisACL("admin", []RedisLogin{{RedisUser("a"), "one"}, {RedisUser("b"), "two"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, users, 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	ctx, stop := context.WithCancel(t.Context())
	server := exec.CommandContext(ctx, binary, "--aclfile", file, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = server.Wait() })
	login := func(user, password string) *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, Username: user, Password: password})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	admin := login("default", "admin")
	for deadline := time.Now().Add(20 * time.Second); admin.Ping(ctx).Err() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server does not take the file: %v", admin.Ping(ctx).Err())
		}
	}
	for user, password := range map[string]string{RedisUser("a"): "one", RedisUser("b"): "two"} {
		client := login(user, password)
		script := redis.NewScript("return redis.call('HINCRBY', KEYS[1], 'n', 1)")
		if err := script.Run(ctx, client, []string{"auth:x"}).Err(); err != nil {
			t.Errorf("%s cannot work: %v", user, err)
		}
		for _, command := range [][]any{{"acl", "list"}, {"flushall"}, {"get", "others:x"}, {"publish", "c", "m"}, {"config", "get", "dir"}, {"shutdown"}} {
			if err := client.Do(ctx, command...).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
				t.Errorf("%s may %v: %v", user, command, err)
			}
		}
	}
	if login(RedisUser("a"), "two").Ping(ctx).Err() == nil || login("default", "").Ping(ctx).Err() == nil {
		t.Error("somebody comes in without the password")
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}
