package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/commercestack/commercestack/internal/topology"
	"github.com/commercestack/commercestack/services/gateway"
)

func TestRateLimits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]gateway.Policy{
		"200/1s:400": {Name: "read", Rate: 200, Period: time.Second, Burst: 400},
		"5/1m30s:1":  {Name: "read", Rate: 5, Period: 90 * time.Second, Burst: 1},
		"0":          {Name: "read"},
	} {
		if got, err := parsePolicy("read", text); err != nil || got != want {
			t.Errorf("%q is %+v (%v)", text, got, err)
		}
	}
	for _, text := range []string{"", "200", "200/1s", "200:400", "x/1s:4", "2/x:4", "2/1s:x", "-2/1s:4", "2/-1s:4", "2/1s:0", "0/1s:1", "2/0s:1"} {
		if got, err := parsePolicy("read", text); err == nil || !strings.Contains(err.Error(), `read="`+text+`"`) {
			t.Errorf("%q is %+v (%v)", text, got, err)
		}
	}
}

func TestGatewayConfig(t *testing.T) {
	t.Parallel()
	config, err := GatewayConfig{
		RateLimits: map[string]string{"credentials": "10/1m:10", "read": "0"}, CORSOrigins: []string{"https://a.example"}, TrustedProxies: []string{"10.0.0.0/8"},
		RequestTimeout: time.Second, MaxBodyBytes: 1, WAF: "block", HSTS: true, SetRequest: map[string]string{"A": "b"}, SetResponse: map[string]string{"C": "d"},
	}.config()
	if err != nil {
		t.Fatal(err)
	}
	if limit := config.Policies["credentials"]; limit.Rate != 10 || !limit.Exact {
		t.Errorf("logins are limited by %+v", limit)
	}
	if config.Policies["read"].Rate != 0 || config.Policies["write"] != gateway.DefaultPolicies()["write"] {
		t.Errorf("policies %+v", config.Policies)
	}
	if !config.HSTS || config.WAF != "block" || config.MaxBodyBytes != 1 || config.Transform.SetRequest["A"] != "b" || config.Transform.SetResponse["C"] != "d" || len(config.CORSOrigins) != 1 || len(config.TrustedProxies) != 1 {
		t.Errorf("%+v", config)
	}
	if _, err := (GatewayConfig{RateLimits: map[string]string{"read": "many"}}).config(); err == nil {
		t.Error("a limit that is none")
	}
	if _, err := (GatewayConfig{RateLimits: map[string]string{"reads": "1/1s:1"}}).config(); err == nil || !strings.Contains(err.Error(), "reads") {
		t.Errorf("a policy that nothing uses: %v", err)
	}
}

func TestDatabaseURL(t *testing.T) { //nolint:paralleltest // it sets the environment
	t.Setenv("COMMERCE_AUTH_DATABASE_URL", "postgres://auth@own/db")
	c := &Config{DatabaseURL: "postgres://commerce_{component}@all/db?application_name={component}"}
	for component, want := range map[string]string{"auth": "postgres://auth@own/db", "order": "postgres://commerce_order@all/db?application_name=order"} {
		if got, err := c.databaseURL(component); err != nil || got != want {
			t.Errorf("%s logs in at %q (%v)", component, got, err)
		}
	}
	c.DatabaseURL = "postgres://admin:secret@all/db"
	if got, err := c.databaseURL("order"); err == nil || !strings.Contains(err.Error(), "COMMERCE_ORDER_DATABASE_URL") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%q (%v)", got, err)
	}
}

func TestRemoteURL(t *testing.T) { //nolint:paralleltest // it sets the environment
	t.Setenv("COMMERCE_AUTH_URL", "http://auth:8080")
	t.Setenv("COMMERCE_USER_URL", "user:8080")
	if u, err := remoteURL("auth", nil); err != nil || u.Host != "auth:8080" {
		t.Errorf("%v (%v)", u, err)
	}
	if u, err := remoteURL("auth", map[string]string{"auth": "https://other"}); err != nil || u.Host != "other" {
		t.Errorf("a flag loses against the environment: %v (%v)", u, err)
	}
	for component, want := range map[string]string{"order": "set COMMERCE_ORDER_URL", "user": "not an http:// or https:// address"} {
		if u, err := remoteURL(component, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (%v)", component, u, err)
		}
	}
}

func TestPasswordOfAndLoginURL(t *testing.T) {
	t.Parallel()
	login, err := loginURL("postgres://postgres:admin@127.0.0.1:5432/shop?sslmode=disable", "order", "p@ss/word")
	if err != nil || login != "postgres://commerce_order:p%40ss%2Fword@127.0.0.1:5432/shop?sslmode=disable" {
		t.Errorf("%q (%v)", login, err)
	}
	if password, err := passwordOf(login); err != nil || password != "p@ss/word" {
		t.Errorf("%q (%v)", password, err)
	}
	for _, bad := range []string{"postgres://order@host/db", "postgres://order:@host/db", "postgres://secret%zz@host"} {
		if _, err := passwordOf(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := loginURL("postgres://secret%zz@host", "order", "x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	chosen, withGateway, err := choose([]string{"order", "gateway", "auth"})
	if err != nil || !withGateway || len(chosen) != 2 || chosen[0].name != "auth" || chosen[1].name != "order" {
		t.Errorf("%v, %v (%v)", chosen, withGateway, err)
	}
	if _, _, err := choose([]string{"orders"}); err == nil || !strings.Contains(err.Error(), `"orders"`) || !strings.Contains(err.Error(), "order, ") {
		t.Errorf("%v", err)
	}
	if chosen, withGateway, err := choose(nil); err != nil || withGateway || len(chosen) != 0 {
		t.Errorf("%v, %v (%v)", chosen, withGateway, err)
	}
}

func TestEveryDependencyIsDeclared(t *testing.T) {
	t.Parallel()
	for _, name := range ComponentNames() {
		declared := topology.Find(name).Calls
		asked := clientsOf(t, filepath.Join("..", "..", "services", name))
		for target := range asked {
			if !slices.Contains(declared, target) {
				t.Errorf("%s calls %s, which its topology does not tell: a process without it would panic", name, target)
			}
		}
		for _, target := range declared {
			if !slices.Contains(ComponentNames(), target) {
				t.Errorf("%s depends on %s, which is no component", name, target)
			}
			if name != gatewayName && !asked[target] && target != "product" && target != "auth" {
				t.Errorf("%s does not call %s", name, target)
			}
		}
	}
	for _, name := range ComponentNames() {
		if name != gatewayName && !slices.Contains(topology.Find(gatewayName).Calls, name) {
			t.Errorf("the gateway leads nowhere for %s", name)
		}
	}
}

// clientsOf finds every env.Client("name") below a folder.
func clientsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	asked := make(map[string]bool)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			literal, isText := call.Args[0].(*ast.BasicLit)
			if ok && isText && selector.Sel.Name == "Client" {
				if name, err := strconv.Unquote(literal.Value); err == nil {
					asked[name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

func TestCheckRemotes(t *testing.T) {
	t.Parallel()
	newAlone := func(withGateway bool, names ...string) *process {
		p := &process{directory: &directory{local: make(map[string]bool), remote: nil}, withGateway: withGateway}
		for _, name := range names {
			p.directory.local[name] = true
		}
		return p
	}
	if err := newAlone(false, "analytics", "product", "notification").checkRemotes(); err != nil {
		t.Errorf("nobody is needed: %v", err)
	}
	if err := newAlone(false, "auth").checkRemotes(); err == nil || !strings.Contains(err.Error(), "set COMMERCE_NOTIFICATION_URL") {
		t.Errorf("%v", err)
	}
	if err := newAlone(true, slices.DeleteFunc(ComponentNames(), func(n string) bool { return n == "billing" || n == gatewayName })...).checkRemotes(); err == nil || !strings.Contains(err.Error(), "billing") {
		t.Errorf("%v", err)
	}
	if err := newAlone(true, ComponentNames()...).checkRemotes(); err != nil {
		t.Errorf("all are here: %v", err)
	}
}

func TestAClientOfNobodyPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if cause := recover(); cause == nil || !strings.Contains(cause.(string), "component order asks for billing") {
			t.Errorf("%v", cause)
		}
	}()
	(&directory{}).clientFor("order")("billing")
}

func TestSmallThings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "a": "a", "a\n": "a", "a\r\n\n": "a", " a ": " a ", "\n": ""} { //nolint:gocritic // spaces stay
		if got := trimLine(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{{[]string{"up"}, "warn"}, {[]string{"serve"}, "info"}, {nil, "info"}} {
		if got := defaultLogLevel(test.args); got != test.want {
			t.Errorf("%v: %s", test.args, got)
		}
	}
	if got := componentList(); !strings.Contains(got, "order, ") || !strings.HasSuffix(got, "gateway") {
		t.Error(got)
	}
}

// TestSeveralWebhookSecrets: while Stripe's secret is rolled both are given, separated by a comma.
func TestSeveralWebhookSecrets(t *testing.T) { //nolint:paralleltest // it sets the environment
	t.Setenv("STRIPE_WEBHOOK_SECRET", "whsec_new,whsec_old")
	var command serveCommand
	flags, err := kong.New(&command, kong.Vars{"components": componentList(), "log_level": "error"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flags.Parse([]string{"--components", "billing"}); err != nil {
		t.Fatal(err)
	}
	if got := command.Billing.WebhookSecrets; !slices.Equal(got, []string{"whsec_new", "whsec_old"}) {
		t.Errorf("the secrets are %q", got)
	}
}
