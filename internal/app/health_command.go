package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/commercestack/commercestack/internal/certificate"
)

// healthCommand asks a process whether it is ready. Container images without a
// shell have nothing else to ask with.
type healthCommand struct {
	URL     string        `arg:"" optional:"" default:"http://127.0.0.1:8080/readyz" help:"Address to ask."`
	TLS     peerFiles     `embed:"" prefix:"tls-"`
	CAFile  string        `name:"ca-file" help:"The same as --tls-ca-file."`
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer."`
}

// healthBody bounds how much of the answer is shown.
const healthBody = 1024

// Run implements the command.
func (c *healthCommand) Run(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, http.NoBody)
	if err != nil {
		return err
	}
	files := certificate.Files{Cert: c.TLS.CertFile, Key: c.TLS.KeyFile, CA: cmp.Or(c.CAFile, c.TLS.CAFile)}
	client, err := newCommandClient(files, c.Timeout)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, healthBody))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(body)))
	}
	_, err = fmt.Fprintln(s.out, strings.TrimSpace(string(body)))
	return err
}
