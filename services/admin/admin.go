package admin

import (
	"embed"
	"net/http"
	"net/url"
	"strings"

	"github.com/commercestack/commercestack/api/gen/commerce/analytics/v1/analyticsv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/notification/v1/notificationv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/admin/view"
)

const (
	// root is where the dashboard lives.
	root = "/admin"
	// role is what a person needs to come in.
	role = "admin"
	// listSize is the length of the dashboard's lists.
	listSize = 25
)

//go:embed static
var static embed.FS

// Dashboard serves the pages of administrators.
type Dashboard struct {
	site      *browser.Site
	assets    *browser.Assets
	users     userv1connect.UserServiceClient
	orders    orderv1connect.OrderServiceClient
	billing   billingv1connect.BillingServiceClient
	mails     notificationv1connect.NotificationServiceClient
	analytics analyticsv1connect.AnalyticsServiceClient
	env       component.Env
}

// New returns the pages. It needs the keyring, the clients, the clock and the logger of env.
func New(env component.Env) (*Dashboard, error) {
	assets, err := browser.NewAssets(root+"/static/", static)
	if err != nil {
		return nil, err
	}
	d := &Dashboard{
		assets: assets, env: env,
		users:     userv1connect.NewUserServiceClient(env.Client("user")),
		orders:    orderv1connect.NewOrderServiceClient(env.Client("order")),
		billing:   billingv1connect.NewBillingServiceClient(env.Client("billing")),
		mails:     notificationv1connect.NewNotificationServiceClient(env.Client("notification")),
		analytics: analyticsv1connect.NewAnalyticsServiceClient(env.Client("analytics")),
	}
	d.site, err = browser.New(browser.Config{
		Name: "dashboard", Path: root, SameSite: http.SameSiteStrictMode, PublicURL: env.PublicURL, Auth: env.Client("auth"),
		Keyring: env.Keyring, Redis: env.Redis, Now: env.Now, Logger: env.Logger, Fail: d.fail,
	})
	return d, err
}

// Routes returns the pages by http.ServeMux pattern.
func (d *Dashboard) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET " + root + "/static/": d.assets,
		"GET " + root + "/login":   d.site.Page(d.askLogin),
		"POST " + root + "/login":  d.site.Page(d.logIn),
		"POST " + root + "/logout": d.site.Page(d.logOut),
		root + "/":                 d.site.Page(d.admitted(d.notFound)),
		"GET " + root + "/{$}":     http.RedirectHandler(root, http.StatusMovedPermanently),
	}
	for pattern, page := range map[string]browser.Handler{
		"GET /admin":                                    d.showOverview,
		"GET /admin/orders":                             d.listOrders,
		"GET /admin/orders/{id}":                        d.showOrder,
		"POST /admin/orders/{id}/cancel":                d.cancelOrder,
		"POST /admin/orders/{id}/fulfill":               d.fulfillOrder,
		"POST /admin/orders/{id}/complete":              d.completeOrder,
		"POST /admin/orders/{id}/payments/{pay}/refund": d.refundPayment,
		"GET /admin/invoices/{id}":                      d.showInvoice,
		"GET /admin/users":                              d.listUsers,
		"GET /admin/users/{id}":                         d.showUser,
		"POST /admin/users/{id}/roles":                  d.setRoles,
		"POST /admin/users/{id}/access":                 d.setAccess,
		"GET /admin/mails":                              d.listMails,
		"POST /admin/mails/{id}/redrive":                d.redriveMail,
	} {
		routes[pattern] = d.site.Page(d.admitted(page))
	}
	return routes
}

// admitted lets administrators through. The role is asked here so that others
// see no page at all; what a page may do the components decide.
func (d *Dashboard) admitted(next browser.Handler) browser.Handler {
	return func(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
		switch {
		case !v.LoggedIn():
			return fault.AuthFailed("log in to open the dashboard")
		case !v.Identity.HasRole(role):
			return fault.Unauthorized("only administrators open the dashboard")
		default:
			return next(w, r, v)
		}
	}
}

// done are the sentences a page shows after a form; only these can be asked for by address.
var done = map[string]string{
	"cancelled": "The order is cancelled.",
	"fulfilled": "The order is with the carrier.",
	"completed": "The order is delivered.",
	"refunded":  "The refund is on its way.",
	"roles":     "The roles are saved.",
	"disabled":  "Logins are disabled, and all sessions are over.",
	"enabled":   "Logins are enabled.",
	"redriven":  "The mail is queued again.",
	"logout":    "You are logged out.",
}

func (d *Dashboard) frame(r *http.Request, v *browser.Visit, title, here string) view.Frame {
	return view.Frame{
		Title: title, Here: here, Style: d.assets.URL("site.css"), Script: d.assets.URL("htmx.min.js"), Icon: d.assets.URL("icon.svg"),
		FormToken: v.FormToken, Email: v.Identity.Email, Development: d.env.Development, Done: done[r.URL.Query().Get("done")],
	}
}

// fail shows an error as a page; who is not logged in is asked to.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, v *browser.Visit, p browser.Problem) {
	if p.Status == http.StatusUnauthorized {
		to := root + "/login"
		if r.Method == http.MethodGet {
			to = view.Link(to, "next", r.URL.RequestURI())
		}
		if r.Header.Get("Hx-Request") != "" {
			w.Header().Set("Hx-Redirect", to) // a script would follow a redirect into the middle of the page
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // always our own login; only its query is the caller's
		return
	}
	f := d.frame(r, v, p.Title, "")
	f.Problem = &p
	if err := browser.Show(w, r, p.Status, view.Failed(f)); err != nil {
		http.Error(w, p.Title, p.Status)
	}
}

func (d *Dashboard) notFound(http.ResponseWriter, *http.Request, *browser.Visit) error {
	return fault.NotFound("this page", "")
}

// safeNext lets a login go on only to pages of the dashboard.
func safeNext(next string) string {
	target, err := url.Parse(next)
	if err != nil || target.Host != "" || target.Scheme != "" || !strings.HasPrefix(target.Path, root+"/") || strings.ContainsAny(next, "\\\r\n") {
		return root
	}
	return target.RequestURI()
}

func (d *Dashboard) askLogin(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return browser.Show(w, r, http.StatusOK, view.Login(d.frame(r, v, "Log in", ""), "", r.URL.Query().Get("next")))
}

func (d *Dashboard) logIn(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	email, next := strings.TrimSpace(r.PostForm.Get("email")), r.PostForm.Get("next")
	if err := d.site.Login(w, r, v, email, r.PostForm.Get("password"), role); err != nil {
		f, p := d.frame(r, v, "Log in", ""), d.site.Explain(r, err)
		if p.Status == http.StatusUnauthorized {
			p.Title = "Logging in did not work"
		}
		f.Problem = &p
		return browser.Show(w, r, p.Status, view.Login(f, email, next))
	}
	return browser.SeeOther(w, r, safeNext(next))
}

func (d *Dashboard) logOut(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	if err := d.site.Logout(w, r, v); err != nil {
		return err
	}
	return browser.SeeOther(w, r, root+"/login?done=logout")
}

// sure refuses a form whose confirmation is missing: browsers ask for it, scripts may not.
func sure(r *http.Request) error {
	if r.PostForm.Get("sure") == "" {
		return fault.Invalid("sure", "tick the box to confirm")
	}
	return nil
}
