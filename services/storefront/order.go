package storefront

import (
	"context"
	"log/slog"
	"net/http"

	"golang.org/x/sync/errgroup"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/storefront/view"
)

// load collects what the page of an order shows. While billing is down the
// page says so and shows the rest.
func (s *Storefront) load(ctx context.Context, v *browser.Visit, p placed) (view.Order, error) {
	o := view.Order{Key: formKey()}
	group, ctx := errgroup.WithContext(v.As(ctx, p.Token))
	group.Go(func() error {
		answer, err := s.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: p.OrderID})
		o.Order = answer.GetOrder()
		return err
	})
	group.Go(func() error {
		answer, err := s.orders.ListOrderEvents(ctx, &orderv1.ListOrderEventsRequest{OrderId: p.OrderID})
		o.Events = answer.GetEvents()
		return err
	})
	group.Go(func() error {
		err := s.loadBilling(ctx, v, p, &o)
		if err != nil && ctx.Err() == nil {
			s.env.Logger.WarnContext(ctx, "billing cannot be asked", slog.Any("error", err))
			o.Blind = true
		}
		return nil
	})
	return o, group.Wait()
}

func (s *Storefront) loadBilling(ctx context.Context, v *browser.Visit, p placed, o *view.Order) error {
	if !v.LoggedIn() {
		if p.PaymentID == "" {
			return nil
		}
		answer, err := s.billing.GetPayment(ctx, &billingv1.GetPaymentRequest{PaymentId: p.PaymentID})
		if err == nil {
			o.Payments = []*billingv1.Payment{answer.Payment}
		}
		return err
	}
	payments, err := s.billing.ListPayments(ctx, &billingv1.ListPaymentsRequest{OrderId: p.OrderID})
	if err != nil {
		return err
	}
	invoices, err := s.billing.ListInvoices(ctx, &billingv1.ListInvoicesRequest{OrderId: p.OrderID})
	o.Payments, o.Invoices = payments.GetPayments(), invoices.GetInvoices()
	return err
}

func (s *Storefront) showOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return s.presentOrder(w, r, v, nil)
}

func (s *Storefront) presentOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit, problem error) error {
	b := s.basket(r, v)
	o, err := s.load(r.Context(), v, b.order(r.PathValue("id")))
	if err != nil {
		return err
	}
	f, status := s.frame(r, v, "Order "+o.Order.Number), http.StatusOK
	if problem != nil {
		status = s.again(r, &f, problem)
	}
	return browser.Show(w, r, status, view.OrderPage(f, o))
}

// showProgress answers the polling of an order's page: nothing while nothing changed.
func (s *Storefront) showProgress(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	o, err := s.load(r.Context(), v, b.order(r.PathValue("id")))
	if err != nil {
		// The page keeps what it shows, and asks again.
		failure := fault.From(err)
		if failure != nil && (failure.Kind == fault.KindAuthFailed || failure.Kind == fault.KindNotFound) {
			w.Header().Set("HX-Refresh", "true")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if r.URL.Query().Get("seen") == o.State() {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return browser.Show(w, r, http.StatusOK, view.Progress(s.frame(r, v, ""), o))
}

// payOrder starts a payment. The page it goes on to shows how it ended and
// offers another way when it failed.
func (s *Storefront) payOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	p, card := b.order(r.PathValue("id")), r.PostForm.Get("card")
	if !s.env.Development {
		card = "" // the billing profile's
	}
	answer, err := browser.Once(v.As(r.Context(), p.Token), v, step(r.PostForm.Get("key"), "pay"), s.billing.CreatePayment, &billingv1.CreatePaymentRequest{
		OrderId: p.OrderID, PaymentMethod: card, ReturnUrl: s.env.PublicURL + orderPath(p.OrderID),
	})
	if err != nil {
		return s.presentOrder(w, r, v, err)
	}
	p.PaymentID = answer.Payment.Id
	b.remember(p)
	if err := s.keepBasket(w, b); err != nil {
		return err
	}
	return browser.SeeOther(w, r, orderPath(p.OrderID))
}

func (s *Storefront) cancelOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	p := b.order(r.PathValue("id"))
	_, err := s.orders.CancelOrder(v.As(r.Context(), p.Token), &orderv1.CancelOrderRequest{OrderId: p.OrderID, Reason: "cancelled by the customer"})
	if err != nil {
		return s.presentOrder(w, r, v, err)
	}
	return browser.SeeOther(w, r, orderPath(p.OrderID)+"?done=cancelled")
}

func (s *Storefront) showInvoice(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	answer, err := s.billing.GetInvoicePdf(v.As(r.Context(), ""), &billingv1.GetInvoicePdfRequest{InvoiceId: r.PathValue("id")})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", `inline; filename="invoice.pdf"`)
	_, _ = w.Write(answer.Data) // a browser that went away needs no answer
	return nil
}
