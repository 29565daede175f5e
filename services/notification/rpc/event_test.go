package rpc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
)

func euros(minor int64) *typev1.Money { return &typev1.Money{CurrencyCode: "EUR", AmountMinor: minor} }

func newOrder(email, user string) *eventv1.OrderSnapshot {
	return &eventv1.OrderSnapshot{
		OrderId: uuid.NewString(), Number: "2026-7", UserId: user, Email: email, Subtotal: euros(3998), Discount: euros(0), Tax: euros(760),
		Shipping: euros(490), Total: euros(5248), Lines: []*eventv1.OrderLine{{Name: "Shirt\nBcc: x", Quantity: 2, Total: euros(3998)}},
	}
}

func TestEveryEventHasItsMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.NewString()
	for name, test := range map[string]struct {
		payload func(email string) proto.Message
		subject string
		says    []string
	}{
		"registered": {func(email string) proto.Message {
			return &eventv1.UserRegistered{UserId: user, Email: email, DisplayName: "Ada"}
		}, "Welcome to Test Shop", []string{"Hello Ada", "https://shop.example"}},
		"confirmed": {func(email string) proto.Message {
			return &eventv1.OrderConfirmed{Order: newOrder(email, user)}
		}, "Your order 2026-7 at Test Shop is confirmed", []string{"2 × Shirt Bcc: x (€39.98)", "Total      €52.48"}},
		"cancelled": {func(email string) proto.Message {
			return &eventv1.OrderCancelled{Order: newOrder(email, user), Reason: "changed my mind"}
		}, "Your order 2026-7 at Test Shop is cancelled", []string{"changed my mind"}},
		"cancelled-paid": {func(email string) proto.Message {
			return &eventv1.OrderCancelled{Order: newOrder(email, ""), WasConfirmed: true}
		}, "Your order 2026-7 at Test Shop is cancelled", []string{"What you paid (€52.48) goes back"}},
		"shipped": {func(email string) proto.Message {
			return &eventv1.OrderFulfilled{Order: newOrder(email, user), TrackingNumber: "T-9"}
		}, "Your order 2026-7 at Test Shop is on its way", []string{"Tracking number: T-9"}},
		"payment-failed": {func(email string) proto.Message {
			return &eventv1.PaymentFailed{Email: email, OrderId: uuid.NewString(), OrderNumber: "2026-7", Amount: euros(100), FailureMessage: "declined"}
		}, "Your payment for order 2026-7 did not go through", []string{"€1.00", "declined", "another card"}},
		"payment-retried": {func(email string) proto.Message {
			return &eventv1.PaymentFailed{
				Email: email, OrderId: uuid.NewString(), OrderNumber: "2026-7", Amount: euros(100),
				NextAttemptTime: timestamppb.New(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)),
			}
		}, "Your payment for order 2026-7 did not go through", []string{"again on 2 March 2026"}},
		"refunded": {func(email string) proto.Message {
			return &eventv1.PaymentRefunded{Email: email, OrderId: uuid.NewString(), OrderNumber: "2026-7", Amount: euros(250)}
		}, "We gave €2.50 back for order 2026-7", []string{"€2.50"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := name + "@example.com"
			b.publish(t, test.payload(address))
			got := b.to(t, address, 1)[0]
			if got.Subject != test.subject || got.To != address || got.HTML == "" {
				t.Errorf("%q to %s", got.Subject, got.To)
			}
			for _, says := range test.says {
				if !strings.Contains(got.Text, says) {
					t.Errorf("no %q in\n%s", says, got.Text)
				}
			}
		})
	}
}

func TestAnEventDeliveredTwiceIsOneMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	events := b.publish(t, &eventv1.UserRegistered{UserId: uuid.NewString(), Email: "ada@example.com"})
	for range 3 {
		if err := b.bus.Publish(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	b.publish(t, &eventv1.UserRegistered{UserId: uuid.NewString(), Email: "last@example.com"})
	b.to(t, "last@example.com", 1)
	if got := b.to(t, "ada@example.com", 1); len(got) != 1 {
		t.Errorf("%d mails", len(got))
	}
}

func TestAnOrderOfNobodyIsNoMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(t, &eventv1.OrderConfirmed{Order: newOrder("", "")})
	eventually(t, "the event is remembered", func() bool { return b.count(t, "SELECT count(*) FROM inbox") == 1 })
	if n := b.count(t, "SELECT count(*) FROM mail"); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestMailSentReachesTheOrderOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	order := newOrder("ada@example.com", uuid.NewString())
	b.publish(t, &eventv1.OrderConfirmed{Order: order}, &eventv1.UserRegistered{UserId: uuid.NewString(), Email: "bob@example.com"})
	b.to(t, "ada@example.com", 1)
	b.to(t, "bob@example.com", 1)
	eventually(t, "both are recorded as sent", func() bool { return b.count(t, "SELECT count(*) FROM mail WHERE status = 'SENT'") == 2 })
	if n := b.count(t, "SELECT count(*) FROM outbox WHERE event_type = 'MAIL_SENT' AND subject = $1", "order/"+order.GetOrderId()); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n := b.count(t, "SELECT count(*) FROM outbox"); n != 1 {
		t.Errorf("%d events, the welcome among them", n)
	}
}

func TestADeletedUserIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.NewString()
	b.publish(t, &eventv1.UserRegistered{UserId: user, Email: "ada@example.com", DisplayName: "Ada"})
	b.to(t, "ada@example.com", 1)
	b.publish(t, &eventv1.UserDeleted{UserId: user})
	eventually(t, "the address is gone", func() bool {
		return b.count(t, "SELECT count(*) FROM mail WHERE recipient_hash <> ''") == 0 && b.count(t, "SELECT count(*) FROM captured_mail") == 0
	})
}
