package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/internal/certificate"
)

// remoteShop is how commands reach a running shop as an administrator.
type remoteShop struct {
	URL          string `default:"http://127.0.0.1:8080" env:"COMMERCE_URL" help:"Address of the shop."`
	AdminEmail   string `default:"admin@example.com" env:"COMMERCE_ADMIN_EMAIL" help:"Administrator."`
	PasswordFile string `aliases:"admin-password-file" env:"COMMERCE_ADMIN_PASSWORD_FILE" help:"File with the administrator's password; COMMERCE_ADMIN_PASSWORD works too, and the data folder of commerce up."`
	CAFile       string `name:"ca-file" env:"COMMERCE_TLS_CA_FILE" help:"Authorities to trust for an https:// address instead of the system's, PEM."`
	Data         string `default:".data" env:"COMMERCE_DATA" help:"Data folder of commerce up, where a generated password is kept."`
}

// commandTimeout bounds one call of a command; an import of 8 MiB takes a while.
const commandTimeout = 5 * time.Minute

// password finds the administrator's password.
func (r remoteShop) password() (string, error) {
	password, err := passwordFrom("COMMERCE_ADMIN_PASSWORD", r.PasswordFile)
	if err != nil || password != "" {
		return password, err
	}
	password, err = passwordFrom("", filepath.Join(r.Data, "keys", "admin-password"))
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("no password: set COMMERCE_ADMIN_PASSWORD or --password-file")
	}
	return password, err
}

// http returns the client that reaches the shop.
func (r remoteShop) http() (*http.Client, error) {
	return newCommandClient(certificate.Files{CA: r.CAFile}, commandTimeout)
}

// client logs in and returns a client whose calls carry the access token.
func (r remoteShop) client(ctx context.Context) (*connect.Client, error) {
	password, err := r.password()
	if err != nil {
		return nil, err
	}
	caller, err := r.http()
	if err != nil {
		return nil, err
	}
	transport := connecthttp.NewTransport(caller, r.URL,
		connecthttp.WithReadMaxBytes(64<<20), connecthttp.WithSendMaxBytes(16<<20))
	login, err := authv1connect.NewAuthServiceClient(connect.NewClient(transport)).
		Login(ctx, &authv1.LoginRequest{Email: r.AdminEmail, Password: password})
	if err != nil {
		return nil, fmt.Errorf("log in at %s as %s: %w", r.URL, r.AdminEmail, err)
	}
	return connect.NewClient(transport, bearer(login.GetAccessToken())), nil
}

// bearer adds the access token to every call.
func bearer(token string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, spec)
		}
	}
}

// formats maps the command line's names to the contract's.
var formats = map[string]productv1.Format{
	"shopify": productv1.Format_SHOPIFY, "vendure": productv1.Format_VENDURE, "medusa": productv1.Format_MEDUSA,
}

// importCommand groups imports.
type importCommand struct {
	Products importProductsCommand `cmd:"" help:"Import products."`
	Demo     importDemoCommand     `cmd:"" help:"Fill an empty shop with the demo catalog."`
}

// importProductsCommand sends a file to a running shop.
type importProductsCommand struct {
	remoteShop `embed:""`

	Format   string `required:"" enum:"shopify,vendure,medusa" help:"Format of the file: ${enum}."`
	Currency string `help:"ISO 4217 currency of the prices in files that name none. Default: the shop's."`
	DryRun   bool   `help:"Check the file only."`
	File     string `arg:"" type:"existingfile" help:"The file."`
}

// errRows makes the exit status tell that some rows were not imported.
var errRows = errors.New("some rows were not imported")

// Run implements the command.
func (c *importProductsCommand) Run(ctx context.Context, s streams) error {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	answer, err := productv1connect.NewProductServiceClient(client).ImportProducts(ctx, &productv1.ImportProductsRequest{
		Format: formats[c.Format], Content: content, CurrencyCode: c.Currency, DryRun: c.DryRun,
	})
	if err != nil {
		return err
	}
	for _, row := range answer.GetErrors() {
		_, _ = fmt.Fprintf(s.err, "%s:%d: %s: %s\n", c.File, row.GetLine(), row.GetField(), row.GetMessage())
	}
	if _, err = fmt.Fprintf(s.out, "%d created, %d updated, %d unchanged, %d errors\n",
		answer.GetCreated(), answer.GetUpdated(), answer.GetUnchanged(), len(answer.GetErrors())); err != nil {
		return err
	}
	if len(answer.GetErrors()) > 0 {
		return errRows
	}
	return nil
}

// exportCommand groups exports.
type exportCommand struct {
	Products exportProductsCommand `cmd:"" help:"Export products."`
}

// exportProductsCommand writes the catalog of a running shop to a file.
type exportProductsCommand struct {
	remoteShop `embed:""`

	Format string `required:"" enum:"shopify,vendure,medusa" help:"Format of the file: ${enum}."`
	File   string `arg:"" optional:"" help:"The file; without it the export goes to standard output."`
}

// Run implements the command.
func (c *exportProductsCommand) Run(ctx context.Context, s streams) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	answer, err := productv1connect.NewProductServiceClient(client).ExportProducts(ctx, &productv1.ExportProductsRequest{Format: formats[c.Format]})
	if err != nil {
		return err
	}
	if c.File == "" {
		_, err = s.out.Write(answer.GetData())
		return err
	}
	return os.WriteFile(c.File, answer.GetData(), 0o644) //nolint:gosec // a catalog is public
}
