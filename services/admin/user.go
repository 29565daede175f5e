package admin

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/admin/view"
)

const usersPath = root + "/users"

func userPath(id string) string { return usersPath + "/" + url.PathEscape(id) }

func (d *Dashboard) listUsers(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	query := r.URL.Query()
	ask := &userv1.ListUsersRequest{PageSize: listSize, PageToken: query.Get("page_token"), Q: strings.TrimSpace(query.Get("q"))}
	answer, err := d.users.ListUsers(v.As(r.Context(), ""), ask)
	if err != nil {
		return err
	}
	u := view.Users{Users: answer.Users, Query: ask.Q}
	u.First, u.Next = neighbours(usersPath, ask.PageToken, answer.NextPageToken, []string{"q", ask.Q})
	return browser.Show(w, r, http.StatusOK, view.UsersPage(d.frame(r, v, "Users", usersPath), u))
}

func (d *Dashboard) showUser(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return d.presentUser(w, r, v, nil)
}

func (d *Dashboard) presentUser(w http.ResponseWriter, r *http.Request, v *browser.Visit, problem error) error {
	ctx, id := v.As(r.Context(), ""), r.PathValue("id")
	answer, err := d.users.GetUser(ctx, &userv1.GetUserRequest{UserId: id})
	if err != nil {
		return err
	}
	orders, err := d.orders.ListOrders(ctx, &orderv1.ListOrdersRequest{UserId: id, PageSize: overviewOrders})
	if err != nil {
		d.env.Logger.WarnContext(ctx, "orders of the user cannot be listed", slog.Any("error", err))
	}
	f, status := d.frame(r, v, answer.User.Email, usersPath), http.StatusOK
	if problem != nil {
		p := d.site.Explain(r, problem)
		f.Problem, status = &p, p.Status
	}
	return browser.Show(w, r, status, view.UserPage(f, view.User{User: answer.User, Orders: orders.GetOrders(), Self: id == v.Identity.UserID}))
}

// change writes fields of a user. Nobody changes their own account here: one
// slip would lock the last administrator out.
func (d *Dashboard) change(w http.ResponseWriter, r *http.Request, v *browser.Visit, sentence, field string, user *userv1.User) error {
	id := r.PathValue("id")
	err := error(fault.Conflict("OWN_ACCOUNT", "another administrator must change your own account"))
	if id != v.Identity.UserID {
		_, err = d.users.UpdateUser(v.As(r.Context(), ""), &userv1.UpdateUserRequest{
			UserId: id, User: user, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}}, Etag: r.PostForm.Get("etag"),
		})
	}
	if err != nil {
		return d.presentUser(w, r, v, err)
	}
	return browser.SeeOther(w, r, view.Link(userPath(id), "done", sentence))
}

func (d *Dashboard) setRoles(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	roles := r.PostForm["roles"]
	if len(roles) == 0 {
		return d.presentUser(w, r, v, fault.Invalid("roles", "choose at least one role"))
	}
	return d.change(w, r, v, "roles", "roles", &userv1.User{Roles: roles})
}

func (d *Dashboard) setAccess(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	disabled, sentence := r.PostForm.Get("disabled") == "true", "enabled"
	if disabled {
		sentence = "disabled"
	}
	return d.change(w, r, v, sentence, "disabled", &userv1.User{Disabled: disabled})
}
