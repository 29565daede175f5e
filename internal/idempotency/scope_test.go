package idempotency

import (
	"testing"

	"connectrpc.com/connect/v2"

	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/identity"
)

func TestScopesOfCallersDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, id := range []identity.Identity{
		{}, {GuestToken: "a"}, {GuestToken: "b"}, {Service: "order"}, {UserID: "u1"}, {UserID: "u2"},
	} {
		seen[scope(id)] = true
	}
	if len(seen) != 6 {
		t.Errorf("scopes %v", seen)
	}
	if scope(identity.Identity{UserID: "u", Service: "order", GuestToken: "g"}) != scope(identity.Identity{UserID: "u"}) {
		t.Error("a component that acts for a person has another scope than the person")
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	methods := userv1.File_commerce_user_v1_user_proto.Services().ByName("UserService").Methods()
	for _, c := range []struct {
		spec connect.Spec
		want bool
	}{
		{connect.Spec{}, false},
		{connect.Spec{IdempotencyLevel: connect.IdempotencyNoSideEffects}, true},
		{connect.Spec{IdempotencyLevel: connect.IdempotencyIdempotent}, false},
		{connect.Spec{Schema: methods.ByName("GetMe")}, true},
		{connect.Spec{Schema: methods.ByName("UpdateMe")}, false},
	} {
		if got := readOnly(c.spec); got != c.want {
			t.Errorf("%+v: %t", c.spec, got)
		}
	}
}
