package storefront

import (
	"embed"
	"net/http"

	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/services/storefront/view"
)

//go:embed static
var static embed.FS

// Storefront serves the shop's pages.
type Storefront struct {
	site     *browser.Site
	assets   *browser.Assets
	auth     authv1connect.AuthServiceClient
	products productv1connect.ProductServiceClient
	carts    orderv1connect.CartServiceClient
	orders   orderv1connect.OrderServiceClient
	billing  billingv1connect.BillingServiceClient
	users    userv1connect.UserServiceClient
	env      component.Env
}

// New returns the pages. It needs the keyring, the clients, the clock and the logger of env.
func New(env component.Env) (*Storefront, error) {
	assets, err := browser.NewAssets("/static/", static)
	if err != nil {
		return nil, err
	}
	s := &Storefront{
		assets: assets, env: env,
		auth:     authv1connect.NewAuthServiceClient(env.Client("auth")),
		products: productv1connect.NewProductServiceClient(env.Client("product")),
		carts:    orderv1connect.NewCartServiceClient(env.Client("order")),
		orders:   orderv1connect.NewOrderServiceClient(env.Client("order")),
		billing:  billingv1connect.NewBillingServiceClient(env.Client("billing")),
		users:    userv1connect.NewUserServiceClient(env.Client("user")),
	}
	s.site, err = browser.New(browser.Config{
		Name: "shop", Path: "/", SameSite: http.SameSiteLaxMode, PublicURL: env.PublicURL, Auth: env.Client("auth"),
		Keyring: env.Keyring, Redis: env.Redis, Now: env.Now, Logger: env.Logger, Fail: s.fail,
	})
	return s, err
}

// Routes returns the pages by http.ServeMux pattern.
func (s *Storefront) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{"GET /static/": s.assets}
	for pattern, page := range map[string]browser.Handler{
		"GET /{$}":                       s.showCatalog,
		"/shop/":                         s.notFound,
		"GET /shop/products/{slug}":      s.showProduct,
		"GET /shop/cart":                 s.showCart,
		"POST /shop/cart/items":          s.addToCart,
		"POST /shop/cart/update":         s.updateCart,
		"GET /shop/checkout":             s.showCheckout,
		"POST /shop/checkout":            s.placeOrder,
		"GET /shop/orders/{id}":          s.showOrder,
		"GET /shop/orders/{id}/progress": s.showProgress,
		"POST /shop/orders/{id}/pay":     s.payOrder,
		"POST /shop/orders/{id}/cancel":  s.cancelOrder,
		"GET /shop/invoices/{id}":        s.showInvoice,
		"GET /shop/login":                s.askLogin,
		"POST /shop/login":               s.logIn,
		"POST /shop/logout":              s.logOut,
		"GET /shop/register":             s.askRegister,
		"POST /shop/register":            s.register,
		"GET /shop/password":             s.askPassword,
		"POST /shop/password":            s.resetPassword,
		"GET /shop/account":              s.showAccount,
	} {
		routes[pattern] = s.site.Page(page)
	}
	return routes
}

// frame is what every page has around it.
func (s *Storefront) frame(r *http.Request, v *browser.Visit, title string) view.Frame {
	return view.Frame{
		Title: title, Style: s.assets.URL("site.css"), Script: s.assets.URL("htmx.min.js"), Icon: s.assets.URL("icon.svg"),
		FormToken: v.FormToken, Email: v.Identity.Email, Pieces: s.basket(r, v).Pieces, Query: r.URL.Query().Get("q"),
		Development: s.env.Development, Done: done[r.URL.Query().Get("done")],
	}
}

// done are the sentences a page shows after a form; only these can be asked for by address.
var done = map[string]string{
	"added":     "It is in your cart.",
	"cancelled": "The order is cancelled.",
	"logout":    "You are logged out.",
}

// fail shows an error as a page of its own.
func (s *Storefront) fail(w http.ResponseWriter, r *http.Request, v *browser.Visit, p browser.Problem) {
	if p.Status == http.StatusUnauthorized && r.Method == http.MethodGet {
		http.Redirect(w, r, loginPath(r.URL.RequestURI()), http.StatusSeeOther) //nolint:gosec // always our own login; only its query is the caller's
		return
	}
	f := s.frame(r, v, p.Title)
	f.Problem = &p
	if err := browser.Show(w, r, p.Status, view.Failed(f)); err != nil {
		http.Error(w, p.Title, p.Status)
	}
}

// again shows a form once more with what is wrong with it.
func (s *Storefront) again(r *http.Request, f *view.Frame, err error) int {
	p := s.site.Explain(r, err)
	f.Problem = &p
	return p.Status
}

// step names one call of a form that makes several; a form without a key has none.
func step(form, name string) string {
	if form == "" {
		return ""
	}
	return form + "." + name
}

// formKey makes a new key for a form.
func formKey() string { return crypto.Token(16) }
