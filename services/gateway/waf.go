package gateway

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/commercestack/commercestack/internal/fault"
)

// firewall inspects requests with the OWASP core rule set. The zero mode is off.
type firewall struct {
	waf    coraza.WAF
	block  bool
	logger *slog.Logger
}

// wafBodyBytes is how much of a body is inspected. Uploads beyond it are
// checked by their own component (type, size, content).
const wafBodyBytes = 128 << 10

// newFirewall compiles the rules; mode is "off", "detect" or "block".
func newFirewall(mode string, logger *slog.Logger) (*firewall, error) {
	f := &firewall{block: mode == "block", logger: logger}
	switch mode {
	case "", "off":
		return f, nil
	case "detect", "block":
	default:
		return nil, fmt.Errorf("the WAF mode %q is none of off, detect, block", mode)
	}
	directives := `
Include @coraza.conf-recommended
Include @crs-setup.conf.example
SecRuleEngine On
SecResponseBodyAccess Off
SecAuditEngine Off
SecAction "id:900200,phase:1,pass,t:none,nolog,setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PATCH DELETE PUT'"
SecAction "id:900220,phase:1,pass,t:none,nolog,setvar:'tx.allowed_request_content_type=|application/x-www-form-urlencoded| |multipart/form-data| |application/json| |application/proto| |application/connect+json| |application/connect+proto| |application/grpc| |application/grpc+proto| |application/grpc-web| |application/grpc-web+proto| |image/jpeg| |image/png| |image/gif| |image/webp|'"
` + wafExclusions() + `
Include @owasp_crs/*.conf
`
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(directives).WithRequestBodyLimit(wafBodyBytes))
	if err != nil {
		return nil, fmt.Errorf("compile the WAF rules: %w", err)
	}
	f.waf = waf
	return f, nil
}

// wafExclusions keep the rules away from values that nobody may constrain or
// see: a good password looks like an attack, and is only ever hashed.
func wafExclusions() string {
	var directives strings.Builder
	for i, field := range []string{"password", "newPassword", "currentPassword", "token", "refreshToken"} {
		fmt.Fprintf(&directives, "SecAction \"id:%d,phase:1,pass,t:none,nolog,ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS:%[2]s,ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS:json.%[2]s\"\n",
			wafOwnRules+i, field)
	}
	return directives.String()
}

// wafOwnRules is where the ids of our own rules start.
const wafOwnRules = 100_000

// inspect runs the rules over a request. In mode detect it only writes a log line.
func (f *firewall) inspect(r *http.Request, client string) error {
	if f.waf == nil {
		return nil
	}
	tx := f.waf.NewTransaction()
	defer func() {
		tx.ProcessLogging()
		_ = tx.Close()
	}()
	tx.ProcessConnection(client, 0, "", 0)
	tx.ProcessURI(r.URL.String(), r.Method, r.Proto)
	for name, values := range r.Header {
		for _, value := range values {
			tx.AddRequestHeader(name, value)
		}
	}
	tx.AddRequestHeader("Host", r.Host)
	tx.SetServerName(hostOf(r))
	interruption := tx.ProcessRequestHeaders()
	if interruption == nil {
		if err := f.readBody(tx, r); err != nil {
			return err
		}
		// Most rules, and the verdict on the sum of their scores, run here, also for requests without a body.
		var err error
		if interruption, err = tx.ProcessRequestBody(); err != nil {
			f.logger.ErrorContext(r.Context(), "the WAF failed on a request", slog.Any("error", err))
		}
	}
	if interruption == nil {
		return nil
	}
	f.logger.WarnContext(r.Context(), "the WAF matched a request", slog.Int("rule", interruption.RuleID),
		slog.String("clientIp", client), slog.String("path", r.URL.Path), slog.Bool("blocked", f.block))
	if !f.block {
		return nil
	}
	return fault.Unauthorized("the request was refused by the web application firewall")
}

// readBody gives the rules a body that they understand and that fits, and puts
// it back for the component. Half a body would be a broken one to the rules, so
// what is larger passes: imports and uploads, which need a permission and are
// checked (type, size, content) by their component. Binary messages pass too:
// by chance they look like anything.
func (f *firewall) readBody(tx types.Transaction, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || !tx.IsRequestBodyAccessible() || !readable(r.Header.Get("Content-Type")) || r.ContentLength >= wafBodyBytes {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, wafBodyBytes))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	if err != nil {
		return fault.Invalid("body", "the body could not be read")
	}
	if len(head) == wafBodyBytes {
		return nil
	}
	if _, _, err := tx.WriteRequestBody(head); err != nil {
		f.logger.ErrorContext(r.Context(), "the WAF failed on a body", slog.Any("error", err))
	}
	return nil
}

// readable holds for the content types whose bodies the rules can take apart.
func readable(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch strings.TrimSpace(media) {
	case "application/json", "application/connect+json", "application/x-www-form-urlencoded", "multipart/form-data":
		return true
	default:
		return false
	}
}

func hostOf(r *http.Request) string {
	if u, err := url.Parse("//" + r.Host); err == nil {
		return u.Hostname()
	}
	return r.Host
}
