package storefront

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/storefront/view"
)

const accountPath = "/shop/account"

func loginPath(next string) string { return "/shop/login?next=" + url.QueryEscape(next) }

// safeNext lets a login go on only to pages of this shop: an address of another
// site in a link would lead people away right after they trusted us.
func safeNext(next string) string {
	target, err := url.Parse(next)
	if err != nil || target.Host != "" || target.Scheme != "" || !strings.HasPrefix(target.Path, "/shop/") || strings.ContainsAny(next, "\\\r\n") {
		return accountPath
	}
	return target.RequestURI()
}

func (s *Storefront) askLogin(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return browser.Show(w, r, http.StatusOK, view.Login(s.frame(r, v, "Log in"), "", r.URL.Query().Get("next")))
}

func (s *Storefront) logIn(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	email, next := strings.TrimSpace(r.PostForm.Get("email")), r.PostForm.Get("next")
	b := s.basket(r, v)
	if err := s.site.Login(w, r, v, email, r.PostForm.Get("password"), ""); err != nil {
		f := s.frame(r, v, "Log in")
		status := s.again(r, &f, err)
		if status == http.StatusUnauthorized {
			f.Problem.Title = "Logging in did not work"
		}
		return browser.Show(w, r, status, view.Login(f, email, next))
	}
	if err := s.adoptCart(r.Context(), v, &b); err != nil {
		s.env.Logger.WarnContext(r.Context(), "the guest's cart was not taken over", slog.Any("error", err))
	} else if err := s.keepBasket(w, b); err != nil {
		return err
	}
	return browser.SeeOther(w, r, safeNext(next))
}

func (s *Storefront) logOut(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	s.site.DropCookie(w, basketCookie)
	if err := s.site.Logout(w, r, v); err != nil {
		return err
	}
	return browser.SeeOther(w, r, "/?done=logout")
}

func (s *Storefront) askRegister(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return browser.Show(w, r, http.StatusOK, view.Register(s.frame(r, v, "Create an account"), "", ""))
}

func (s *Storefront) register(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	name, email := strings.TrimSpace(r.PostForm.Get("display_name")), strings.TrimSpace(r.PostForm.Get("email"))
	_, err := s.auth.Register(v.As(r.Context(), ""), &authv1.RegisterRequest{Email: email, Password: r.PostForm.Get("password"), DisplayName: name})
	f := s.frame(r, v, "Create an account")
	if err != nil {
		status := s.again(r, &f, err)
		return browser.Show(w, r, status, view.Register(f, name, email))
	}
	// The same words whether or not the address had an account.
	return browser.Show(w, r, http.StatusOK, view.LookIntoMail(f, "We sent a mail to "+email+". Open its link to confirm the address, then log in."))
}

func (s *Storefront) askPassword(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return browser.Show(w, r, http.StatusOK, view.Password(s.frame(r, v, "Set a new password"), ""))
}

func (s *Storefront) resetPassword(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	email := strings.TrimSpace(r.PostForm.Get("email"))
	_, err := s.auth.RequestPasswordReset(v.As(r.Context(), ""), &authv1.RequestPasswordResetRequest{Email: email})
	f := s.frame(r, v, "Set a new password")
	if err != nil {
		status := s.again(r, &f, err)
		return browser.Show(w, r, status, view.Password(f, email))
	}
	return browser.Show(w, r, http.StatusOK, view.LookIntoMail(f, "If "+email+" has an account, a mail with a link is on its way."))
}

func (s *Storefront) showAccount(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	if !v.LoggedIn() {
		return fault.AuthFailed("log in to see your account")
	}
	ctx := v.As(r.Context(), "")
	orders, err := s.orders.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: gridSize, PageToken: r.URL.Query().Get("page_token")})
	if err != nil {
		return err
	}
	a := view.Account{Orders: orders.Orders}
	if orders.NextPageToken != "" {
		a.Next = accountPath + "?page_token=" + url.QueryEscape(orders.NextPageToken)
	}
	invoices, err := s.billing.ListInvoices(ctx, &billingv1.ListInvoicesRequest{PageSize: gridSize})
	if err != nil {
		s.env.Logger.WarnContext(ctx, "invoices cannot be listed", slog.Any("error", err))
	}
	a.Invoices = invoices.GetInvoices()
	return browser.Show(w, r, http.StatusOK, view.AccountPage(s.frame(r, v, "Your account"), a))
}
