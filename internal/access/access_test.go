package access_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	own := &accessv1.Rule{Level: accessv1.Level_LEVEL_USER, Permission: "read:own"}
	anyUser := &accessv1.Rule{Level: accessv1.Level_LEVEL_USER}
	manage := &accessv1.Rule{Level: accessv1.Level_LEVEL_USER, Permission: "manage:products"}
	internal := &accessv1.Rule{Level: accessv1.Level_LEVEL_SERVICE}
	public := &accessv1.Rule{Level: accessv1.Level_LEVEL_PUBLIC}
	guest := identity.Identity{Permissions: access.Permissions(nil)}
	user := identity.Identity{UserID: "u", Roles: []string{"user"}, Permissions: access.Permissions([]string{"user"})}
	admin := identity.Identity{UserID: "a", Roles: []string{"admin"}, Permissions: access.Permissions([]string{"admin"})}
	component := identity.Identity{Service: "order"}
	acting := identity.Identity{UserID: "u", Permissions: user.Permissions, Service: "order"}
	const ok = fault.Kind(255)
	tests := []struct {
		name string
		rule *accessv1.Rule
		id   identity.Identity
		want fault.Kind
	}{
		{"public, guest", public, guest, ok},
		{"public, component", public, component, ok},
		{"own, guest", own, guest, fault.KindAuthFailed},
		{"own, user", own, user, ok},
		{"own, admin", own, admin, ok},
		{"own, component alone", own, component, fault.KindAuthFailed},
		{"own, component for a person", own, acting, ok},
		{"any user", anyUser, identity.Identity{UserID: "u"}, ok},
		{"own, user without permissions", own, identity.Identity{UserID: "u"}, fault.KindUnauthorized},
		{"own, permissions without a person", own, identity.Identity{Permissions: []string{"*"}}, fault.KindAuthFailed},
		{"manage, user", manage, user, fault.KindUnauthorized},
		{"manage, admin", manage, admin, ok},
		{"internal, admin", internal, admin, fault.KindUnauthorized},
		{"internal, guest", internal, guest, fault.KindUnauthorized},
		{"internal, component", internal, component, ok},
		{"internal, component for a person", internal, acting, ok},
		{"no rule, admin", nil, admin, fault.KindUnauthorized},
		{"no level, admin", &accessv1.Rule{Permission: "x"}, admin, fault.KindUnauthorized},
		{"level of a newer version, admin", &accessv1.Rule{Level: 77}, admin, fault.KindUnauthorized},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := access.Check(test.rule, test.id)
			if test.want == ok {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if got := fault.From(err); got == nil || got.Kind != test.want {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ roles, want []string }{
		{nil, []string{"read:public"}},
		{[]string{"guest"}, []string{"read:public"}},
		{[]string{"user"}, []string{"read:own", "read:public", "write:own"}},
		{[]string{"admin", "user"}, []string{"*", "read:own", "read:public", "write:own"}},
		{[]string{"emperor"}, []string{"read:public"}},
	} {
		if diff := cmp.Diff(test.want, access.Permissions(test.roles)); diff != "" {
			t.Errorf("%v: %s", test.roles, diff)
		}
	}
	first := access.Permissions(nil)
	first[0] = "*"
	if slices.Contains(access.Permissions(nil), "*") {
		t.Error("a caller changed the table")
	}
	if !access.Role("user") || access.Role("emperor") {
		t.Error("known roles")
	}
}

func TestForMethod(t *testing.T) { //nolint:paralleltest // it counts allocations
	methods := productv1.File_commerce_product_v1_product_proto.Services().ByName("ProductService").Methods()
	rule := access.ForMethod(methods.ByName("ListProducts"))
	if rule.GetLevel() != accessv1.Level_LEVEL_PUBLIC || rule.GetRateLimit() != "read" {
		t.Errorf("%v", rule)
	}
	if access.ForMethod(nil) != nil {
		t.Error("a rule from nowhere")
	}
	id := identity.Identity{UserID: "u", Permissions: []string{"read:own", "manage:products"}}
	method := methods.ByName("CreateProduct")
	if n := testing.AllocsPerRun(100, func() {
		if access.Check(access.ForMethod(method), id) != nil {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations a check", n)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	login := (&authv1.LoginRequest{}).ProtoReflect().Descriptor()
	if !access.Secret(login.Fields().ByName("password")) || access.Secret(login.Fields().ByName("email")) || access.Secret(nil) {
		t.Error("secret fields")
	}
	confirm := (&authv1.ConfirmPasswordResetRequest{}).ProtoReflect().Descriptor()
	product := (&productv1.CreateProductRequest{}).ProtoReflect().Descriptor()
	for path, want := range map[string]bool{"newPassword": true, "new_password": true, "token": true, "newPassword[0].x": true, "nothing": false, "": false} {
		if access.SecretPath(confirm, path) != want {
			t.Errorf("%q: secret is %v", path, !want)
		}
	}
	for _, path := range []string{"product.attributes[\"a\"].b", "product.categoryIds[0]", "product.price.amountMinor", "product.price.x.y"} {
		if access.SecretPath(product, path) {
			t.Errorf("%q is no secret", path)
		}
	}
}
