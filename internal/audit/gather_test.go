package audit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
)

func TestGatherKeepsNoTextAndNoSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message  proto.Message
		resource string
		facts    map[string]any
	}{
		{
			&authv1.ChangePasswordRequest{CurrentPassword: "old-secret", NewPassword: "new-secret"}, "",
			map[string]any{"currentPassword": true, "newPassword": true},
		},
		{
			&billingv1.RefundPaymentRequest{PaymentId: "p\x001" + strings.Repeat("x", 200), Reason: "personal"}, "payment/p1" + strings.Repeat("x", 98),
			map[string]any{"paymentId": "p1" + strings.Repeat("x", 98), "reason": true},
		},
		{&productv1.DeleteProductRequest{}, "", map[string]any{}},
	} {
		facts := map[string]any{}
		resource := gather(c.message.ProtoReflect(), facts)
		if resource != c.resource {
			t.Errorf("%T: resource %q, want %q", c.message, resource, c.resource)
		}
		if diff := cmp.Diff(c.facts, facts); diff != "" {
			t.Errorf("%T (-want +got):\n%s", c.message, diff)
		}
	}
}

func TestAnsweredResource(t *testing.T) {
	t.Parallel()
	for want, message := range map[string]proto.Message{
		"payment/p1": &billingv1.RefundPaymentResponse{Payment: &billingv1.Payment{Id: "p1"}},
		"":           &billingv1.RefundPaymentResponse{},
	} {
		if got := answered(message.ProtoReflect()); got != want {
			t.Errorf("%v: %q, want %q", message, got, want)
		}
	}
}
