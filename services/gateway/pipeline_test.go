package gateway

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/identity"
)

const userID = "0198c1de-0000-7000-8000-000000000001"

func TestRequestIDIsKeptOrMade(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	if got := d.call(t, "GET", "/api/v1/products", "", "X-Request-Id: req-abc-123"); got.header.Get("X-Request-Id") != "req-abc-123" {
		t.Errorf("the id became %q", got.header.Get("X-Request-Id"))
	}
	got := d.call(t, "GET", "/nowhere", "", "X-Request-Id: evil\tid")
	id := got.header.Get("X-Request-Id")
	if _, _, inBody := got.failure(t); !strings.HasPrefix(id, "req-") || inBody != id {
		t.Errorf("the made id is %q, in the body %q", id, inBody)
	}
	if values := d.call(t, "GET", "/api/v1/products", "").header.Values("X-Request-Id"); len(values) != 1 || values[0] == id {
		t.Errorf("ids %q", values)
	}
}

func TestIdentityFromOutsideIsRemoved(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(testing.TB, *shop) func(*Options){
		"in one process":   func(testing.TB, *shop) func(*Options) { return nil },
		"over the network": apart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behind := newShop(t)
			d := newDoor(t, behind, where(t, behind))
			forged, err := behind.signer.Sign(identity.Identity{UserID: userID, Permissions: []string{"*"}, Service: "order"})
			if err != nil {
				t.Fatal(err)
			}
			got := d.call(t, "GET", "/api/v1/products", "", "X-Commerce-Identity: "+forged, "x-commerce-identity: "+forged, "X-Guest-Token: guest", "User-Agent: test/1")
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.text)
			}
			caller, header := behind.last(t)
			if !caller.Anonymous() || caller.Service != "" || len(caller.Permissions) > 0 || caller.GuestToken != "guest" || caller.UserAgent != "test/1" || caller.ClientIP != "127.0.0.1" {
				t.Errorf("the component saw %+v", caller)
			}
			for _, value := range header.Values(identity.Header) {
				if value == forged {
					t.Error("the forged header went through")
				}
			}
			if got := d.call(t, "GET", "/api/v1/orders", "", "X-Commerce-Identity: "+forged); got.status != http.StatusUnauthorized {
				t.Errorf("a forged identity reached a user's route: %d", got.status)
			}
			// A hop-by-hop header must not take the signed identity off again.
			if got := d.call(t, "GET", "/api/v1/products", "", "Connection: X-Commerce-Identity", "X-Commerce-Identity: "+forged); got.status == http.StatusOK {
				if caller, _ := behind.last(t); !caller.Anonymous() {
					t.Errorf("the component saw %+v", caller)
				}
			}
		})
	}
}

func TestServiceMethodsAreUnreachable(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, nil)
	admin := d.bearer(t, userID, time.Hour, "*")
	for _, procedure := range []string{
		"/commerce.product.v1.StockService/ReserveStock", "/commerce.auth.v1.AccountService/DeleteAccount",
		"/commerce.notification.v1.NotificationService/SendMail", "/commerce.order.v1.SettlementService/BeginPayment",
	} {
		for _, contentType := range []string{"application/json", "application/proto", "application/connect+json", "text/plain"} {
			got := d.call(t, "POST", procedure, "{}", admin, "Content-Type: "+contentType)
			if contentType != "application/connect+json" && got.status != http.StatusNotFound {
				t.Errorf("%s as %s: %d %s", procedure, contentType, got.status, got.text)
			}
			if strings.Contains(contentType, "+") && !strings.Contains(got.text, "not_found") {
				t.Errorf("%s as %s: %q", procedure, contentType, got.text)
			}
		}
	}
	for _, path := range []string{"/commerce.product.v1.StockService/Nothing", "/commerce.nowhere.v1.X/Y", "/commerce.product.v1.StockService%2FReserveStock"} {
		if got := d.call(t, "POST", path, "{}", admin); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if behind.calls() != 0 {
		t.Errorf("%d requests reached a component", behind.calls())
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, nil)
	other := newTokens(t)
	for name, test := range map[string]struct {
		method, path, body, token string
		status                    int
		code, message             string
	}{
		"no token on a public route":             {"GET", "/api/v1/products", "", "", 200, "", ""},
		"a good one on a public route":           {"GET", "/api/v1/products", "", d.bearer(t, userID, time.Hour), 200, "", ""},
		"a forged one on a public route":         {"GET", "/api/v1/products", "", other.bearer(t, userID, time.Hour), 401, "AUTH_FAILED", "not valid"},
		"an expired one on a public route":       {"GET", "/api/v1/products", "", d.bearer(t, userID, -time.Minute), 401, "AUTH_FAILED", "expired"},
		"another scheme":                         {"GET", "/api/v1/products", "", "Authorization: Basic dTpw", 401, "AUTH_FAILED", "Bearer"},
		"an empty bearer":                        {"GET", "/api/v1/products", "", "Authorization: Bearer ", 401, "AUTH_FAILED", "Bearer"},
		"a login with an expired token":          {"POST", "/api/v1/auth/login", `{"email":"a@example.com","password":"correct horse"}`, d.bearer(t, userID, -time.Hour), 200, "", ""},
		"a login with a forged token":            {"POST", "/api/v1/auth/login", `{"email":"a@example.com","password":"correct horse"}`, other.bearer(t, userID, time.Hour), 200, "", ""},
		"no token on a user's route":             {"GET", "/api/v1/orders", "", "", 401, "AUTH_FAILED", "log in"},
		"a forged one on a user's route":         {"GET", "/api/v1/orders", "", other.bearer(t, userID, time.Hour, "*"), 401, "AUTH_FAILED", "not valid"},
		"a good one on a user's route":           {"GET", "/api/v1/orders", "", d.bearer(t, userID, time.Hour, "read:own"), 200, "", ""},
		"a lower-case scheme":                    {"GET", "/api/v1/orders", "", strings.Replace(d.bearer(t, userID, time.Hour, "read:own"), "Bearer", "bearer", 1), 200, "", ""},
		"a user without the permission":          {"GET", "/api/v1/orders", "", d.bearer(t, userID, time.Hour, "read:public"), 403, "UNAUTHORIZED", "permission"},
		"a user on an administrator's route":     {"POST", "/api/v1/products", `{"name":"x"}`, d.bearer(t, userID, time.Hour, "read:own", "write:own"), 403, "UNAUTHORIZED", "permission"},
		"an administrator":                       {"POST", "/api/v1/products", `{"name":"x"}`, d.bearer(t, userID, time.Hour, "*"), 200, "", ""},
		"a user's password change needs a token": {"POST", "/api/v1/auth/password-change", `{}`, d.bearer(t, userID, -time.Hour), 401, "AUTH_FAILED", "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if test.token != "" {
				headers = append(headers, test.token)
			}
			got := d.call(t, test.method, test.path, test.body, headers...)
			if got.status != test.status {
				t.Fatalf("%d %s", got.status, got.text)
			}
			if test.code == "" {
				return
			}
			if code, message, _ := got.failure(t); code != test.code || !strings.Contains(message, test.message) {
				t.Errorf("%s %q", code, message)
			}
			if test.status == http.StatusUnauthorized && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
}

func TestSessionThatEndedAndCaller(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, nil)
	token := d.bearer(t, userID, time.Hour, "read:own")
	if got := d.call(t, "GET", "/api/v1/orders", "", token, "X-Guest-Token: cart"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	if caller, _ := behind.last(t); caller.UserID != userID || caller.GuestToken != "cart" || caller.ClientIP == "" {
		t.Errorf("the component saw %+v", caller)
	}
	d.gone.Store(true)
	if got := d.call(t, "GET", "/api/v1/orders", "", token); got.status != 401 {
		t.Errorf("after logout: %d", got.status)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), func(o *Options) { delete(o.Local, "billing") })
	for name, test := range map[string]struct {
		method, path string
		status       int
		code, allow  string
	}{
		"no such path":            {"GET", "/api/v1/nothing", 404, "NOT_FOUND", ""},
		"no such method":          {"PUT", "/api/v1/products", 405, "INVALID_INPUT", "GET, HEAD, OPTIONS, POST"},
		"options":                 {"OPTIONS", "/api/v1/products", 204, "", "GET, HEAD, OPTIONS, POST"},
		"a component nowhere":     {"GET", "/shop/", 404, "NOT_FOUND", ""},
		"a service nowhere":       {"POST", "/api/v1/billing/webhooks/stripe", 404, "NOT_FOUND", ""},
		"a double slash":          {"GET", "//api/v1/products", 404, "NOT_FOUND", ""},
		"another component's dot": {"GET", "/media/%2e%2e/api/v1/orders", 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := d.call(t, test.method, test.path, "")
			if got.status != test.status || got.header.Get("Allow") != test.allow {
				t.Fatalf("%d %q %s", got.status, got.header.Get("Allow"), got.text)
			}
			if test.code != "" {
				if code, _, _ := got.failure(t); code != test.code {
					t.Errorf("code %s", code)
				}
			}
		})
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	for name, change := range map[string]func(*Options){"in one process": nil, "over the network": apart(t, behind)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, behind, func(o *Options) {
				o.Config.HSTS = true
				if change != nil {
					change(o)
				}
			})
			got := d.call(t, "GET", "/api/v1/products", "")
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "strict-origin-when-cross-origin",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
			} {
				if values := got.header.Values(header); len(values) != 1 || values[0] != want {
					t.Errorf("%s: %q", header, values)
				}
			}
			// A page's own policy replaces the gateway's: two would both apply.
			if values := d.call(t, "GET", "/admin/", "").header.Values("Content-Security-Policy"); len(values) != 1 || values[0] != "default-src 'self'" {
				t.Errorf("the page's policy is %q", values)
			}
		})
	}
	if got := newDoor(t, behind, nil).call(t, "GET", "/api/v1/products", ""); got.header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS")
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	some := newDoor(t, behind, func(o *Options) { o.Config.CORSOrigins = []string{"https://shop.example"} })
	all := newDoor(t, behind, func(o *Options) { o.Config.CORSOrigins = []string{"*"} })
	none := newDoor(t, behind, nil)
	before := behind.calls()
	preflight := []string{"Origin: https://shop.example", "Access-Control-Request-Method: POST"}
	got := some.call(t, "OPTIONS", "/api/v1/orders", "", preflight...)
	if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") ||
		!strings.Contains(got.header.Get("Access-Control-Allow-Methods"), "PATCH") || got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
	if behind.calls() != before {
		t.Error("a preflight reached a component")
	}
	if got := none.call(t, "OPTIONS", "/api/v1/orders", "", preflight...); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("CORS is on without origins")
	}
	for name, test := range map[string]struct {
		door        *door
		origin      string
		allow, vary string
	}{
		"allowed":              {some, "https://shop.example", "https://shop.example", "Origin"},
		"another":              {some, "https://evil.example", "", "Origin"},
		"none, for caches":     {some, "", "", "Origin"},
		"everybody":            {all, "https://any.example", "*", ""},
		"everybody, no origin": {all, "", "", ""},
	} {
		var headers []string
		if test.origin != "" {
			headers = append(headers, "Origin: "+test.origin)
		}
		got := test.door.call(t, "GET", "/api/v1/products", "", headers...)
		if got.header.Get("Access-Control-Allow-Origin") != test.allow || strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Origin") != (test.vary != "") {
			t.Errorf("%s: %v", name, got.header)
		}
		if test.allow != "" && !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%s: nothing is exposed", name)
		}
	}
}

func TestCompressionAndRevalidation(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	for name, change := range map[string]func(*Options){"in one process": nil, "over the network": apart(t, behind)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, behind, change)
			plain := d.call(t, "GET", "/api/v1/products", "")
			packed := d.call(t, "GET", "/api/v1/products", "", "Accept-Encoding: gzip, br")
			reader, err := gzip.NewReader(strings.NewReader(packed.text))
			if err != nil {
				t.Fatalf("%v: %v", err, packed.header)
			}
			if unpacked, err := io.ReadAll(reader); err != nil || string(unpacked) != plain.text || len(packed.text) >= len(plain.text) {
				t.Errorf("unpacked %d of %d bytes (%v)", len(unpacked), len(plain.text), err)
			}
			for form, got := range map[string]answer{"plain": plain, "packed": packed} {
				vary := strings.Join(got.header.Values("Vary"), ", ")
				if !strings.HasPrefix(got.header.Get("Cache-Control"), "public, max-age=") || !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Authorization") {
					t.Errorf("%s: a cache reads %q, %q", form, got.header.Get("Cache-Control"), vary)
				}
			}
			tag := packed.header.Get("ETag")
			if tag == plain.header.Get("ETag") || !strings.HasSuffix(tag, `-gzip"`) || packed.header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("tags %q and %q", plain.header.Get("ETag"), tag)
			}
			for form, headers := range map[string][]string{
				"packed":              {"If-None-Match: " + tag, "Accept-Encoding: gzip"},
				"plain":               {"If-None-Match: " + plain.header.Get("ETag")},
				"packed, asked plain": {"If-None-Match: " + tag},
				"one of several":      {`If-None-Match: "other", W/` + tag, "Accept-Encoding: gzip"},
			} {
				if got := d.call(t, "GET", "/api/v1/products", "", headers...); got.status != http.StatusNotModified || got.text != "" {
					t.Errorf("%s: %d with %d bytes", form, got.status, len(got.text))
				}
			}
			if got := d.call(t, "GET", "/api/v1/products?q=x", "", "If-None-Match: "+tag); got.status != 200 {
				t.Errorf("another answer: %d", got.status)
			}
			if got := d.call(t, "GET", "/media/x.png", "", "Accept-Encoding: gzip"); got.header.Get("Content-Encoding") != "" || len(got.text) != 4000 {
				t.Error("a picture is compressed again")
			}
			private := d.call(t, "GET", "/api/v1/products", "", d.bearer(t, userID, time.Hour))
			if control := private.header.Get("Cache-Control"); !strings.Contains(control, "private") {
				t.Errorf("what a user sees may be kept by a shared cache: %q", control)
			}
		})
	}
}

func TestCompressible(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"application/json": true, "Application/JSON; charset=utf-8": true, "text/html": true, "text/csv; header=present": true, "image/svg+xml": true,
		"image/png": false, "application/pdf": false, "application/grpc": false, "application/grpc+proto": false, "video/mp4": false, "": false,
		"application/octet-stream": false, "application/zip": false,
	} {
		if compressible(contentType) != want {
			t.Errorf("%q: %v", contentType, !want)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	for name, change := range map[string]func(*Options){"in one process": nil, "over the network": apart(t, behind)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, behind, func(o *Options) {
				o.Config.MaxBodyBytes = 64 << 10
				if change != nil {
					change(o)
				}
			})
			admin := d.bearer(t, userID, time.Hour, "*")
			large := `{"name":"` + strings.Repeat("x", 128<<10) + `"}`
			got := d.call(t, "POST", "/api/v1/products", large, admin)
			if got.status != http.StatusBadRequest && got.status != http.StatusRequestEntityTooLarge {
				t.Fatalf("%d %s", got.status, got.text)
			}
			if code, message, _ := got.failure(t); code != "INVALID_INPUT" || !strings.Contains(message, "larger than") {
				t.Errorf("%s %q", code, message)
			}
			if got := d.call(t, "POST", "/api/v1/products", `{"name":"x"}`, admin); got.status != 200 {
				t.Errorf("a small one: %d %s", got.status, got.text)
			}
		})
	}
}

func TestTimeIsBounded(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	for name, change := range map[string]func(*Options){"in one process": nil, "over the network": apart(t, behind)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, behind, func(o *Options) {
				o.Config.RequestTimeout = 200 * time.Millisecond
				if change != nil {
					change(o)
				}
			})
			started := time.Now()
			got := d.call(t, "GET", "/api/v1/orders/"+userID, "")
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if code, _, _ := got.failure(t); got.status != http.StatusServiceUnavailable || code != "UNAVAILABLE" || got.header.Get("Retry-After") == "" {
				t.Errorf("%d %v %s", got.status, got.header, got.text)
			}
		})
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	got := d.call(t, "GET", "/admin/panic", "")
	code, message, requestID := got.failure(t)
	if got.status != 500 || code != "INTERNAL_ERROR" || strings.Contains(message, "secret-value") || requestID == "" {
		t.Errorf("%d %s", got.status, got.text)
	}
	if !strings.Contains(d.log.String(), "panic in the gateway") {
		t.Error("the panic is not logged")
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", d.url+"/admin/abort", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.client.Do(request)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if err == nil {
		t.Error("a half answer looks whole")
	}
	if got := d.call(t, "GET", "/api/v1/products", ""); got.status != 200 {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestTransforms(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	for name, change := range map[string]func(*Options){"in one process": nil, "over the network": apart(t, behind)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, behind, func(o *Options) {
				o.Config.Transform = Transform{
					SetRequest: map[string]string{"X-Region": "eu"}, RemoveRequest: []string{"X-Debug"},
					SetResponse: map[string]string{"X-Served-By": "edge", "Content-Type": "overridden"},
				}
				if change != nil {
					change(o)
				}
			})
			got := d.call(t, "GET", "/api/v1/products", "", "X-Debug: 1", "X-Region: us")
			if got.header.Get("X-Served-By") != "edge" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") || len(got.header.Values("Content-Type")) != 1 {
				t.Errorf("answer: %v", got.header)
			}
			if _, header := behind.last(t); header.Get("X-Debug") != "" || header.Get("X-Region") != "eu" {
				t.Errorf("request: %v", header)
			}
		})
	}
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	for _, path := range []string{"/a", "/b", "/c/d", "/commerce.x.v1.Y/Z", "/api/v1/products?q=1", "/api/v1/products?q=2", "/media/1.png", "/media/2.png"} {
		d.call(t, "GET", path, "")
	}
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	endpoints := make(map[string]bool)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "endpoint" {
					endpoints[label.GetValue()] = true
				}
			}
		}
	}
	if len(endpoints) != 3 || !endpoints["unmatched"] || !endpoints["/media/"] || !endpoints["/commerce.product.v1.ProductService/ListProducts"] {
		t.Errorf("endpoints %v", endpoints)
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	secret := d.bearer(t, userID, time.Hour, "read:own")
	d.call(t, "GET", "/api/v1/orders?pageToken=private", "", secret, "X-Guest-Token: guest-secret")
	line := d.log.String()
	for _, want := range []string{
		`"method":"GET"`, `"path":"/api/v1/orders"`, `"endpoint":"/commerce.order.v1.OrderService/ListOrders"`, `"component":"order"`, `"status":200`,
		`"clientIp":"127.0.0.1"`, `"userId":"` + userID + `"`, `"seconds":`, `"bytes":`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	for _, never := range []string{"private", "guest-secret", strings.TrimPrefix(secret, "Authorization: Bearer ")} {
		if strings.Contains(line, never) {
			t.Errorf("the log holds %q", never)
		}
	}
	quiet := newDoor(t, newShop(t), func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	if got := quiet.call(t, "HEAD", "/api/v1/products", ""); got.status != 200 || got.text != "" {
		t.Errorf("HEAD: %d", got.status)
	}
}

func TestConfigurationThatMakesNoSense(t *testing.T) {
	t.Parallel()
	u := mustURL(t, "http://127.0.0.1:1")
	for want, change := range map[string]func(*Options){
		"trusted proxy":          func(o *Options) { o.Config.TrustedProxies = []string{"proxy.internal"} },
		"WAF mode":               func(o *Options) { o.Config.WAF = "loud" },
		"negative":               func(o *Options) { o.Remote = map[string][]Target{"order": {{URL: u, Weight: -1}, {URL: u, Weight: 2}}} },
		"no target has a weight": func(o *Options) { o.Remote = map[string][]Target{"order": {{URL: u}}} },
	} {
		o := Options{Logger: slog.New(slog.DiscardHandler), Registry: nopRegisterer{}, Now: time.Now}
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestResponseRecorderCountsWhatIsSent(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	got := d.call(t, "GET", "/admin/", "")
	if !strings.Contains(d.log.String(), `"bytes":12`) || got.text != "<p>admin</p>" || !strings.Contains(d.log.String(), `"status":200`) {
		t.Errorf("%q: %s", got.text, d.log.String())
	}
}
