package gateway

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

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
Include @owasp_crs/*.conf
`
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(directives).WithRequestBodyLimit(wafBodyBytes))
	if err != nil {
		return nil, fmt.Errorf("compile the WAF rules: %w", err)
	}
	f.waf = waf
	return f, nil
}

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
		var err error
		if interruption, err = f.inspectBody(tx, r); err != nil {
			return err
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

// inspectBody reads a bounded part of the body and puts it back.
func (f *firewall) inspectBody(tx types.Transaction, r *http.Request) (*types.Interruption, error) {
	if r.Body == nil || r.Body == http.NoBody || !tx.IsRequestBodyAccessible() {
		return nil, nil //nolint:nilnil // no interruption and no error
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, wafBodyBytes))
	if err != nil {
		return nil, fault.Invalid("body", "the body could not be read")
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	if interruption, _, err := tx.WriteRequestBody(head); err != nil || interruption != nil {
		return interruption, err
	}
	return tx.ProcessRequestBody()
}

func hostOf(r *http.Request) string {
	if u, err := url.Parse("//" + r.Host); err == nil {
		return u.Hostname()
	}
	return r.Host
}
