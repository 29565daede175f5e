package admin

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/admin/view"
)

const ordersPath = root + "/orders"

func orderPath(id string) string { return ordersPath + "/" + url.PathEscape(id) }

func (d *Dashboard) listOrders(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	query := r.URL.Query()
	status := orderv1.Order_Status(orderv1.Order_Status_value[query.Get("status")])
	ask := &orderv1.ListOrdersRequest{
		PageSize: listSize, PageToken: query.Get("page_token"), Status: status, Q: strings.TrimSpace(query.Get("q")), UserId: query.Get("user_id"), All: true,
	}
	answer, err := d.orders.ListOrders(v.As(r.Context(), ""), ask)
	if err != nil {
		return err
	}
	filter := []string{"q", ask.Q, "status", query.Get("status"), "user_id", ask.UserId}
	o := view.Orders{Orders: answer.Orders, Status: status, Query: ask.Q, UserID: ask.UserId}
	o.First, o.Next = neighbours(ordersPath, ask.PageToken, answer.NextPageToken, filter)
	return browser.Show(w, r, http.StatusOK, view.OrdersPage(d.frame(r, v, "Orders", ordersPath), o))
}

// neighbours returns the addresses of a list's first and next page, "" where there is none.
func neighbours(path, here, next string, filter []string) (first, after string) {
	if here != "" {
		first = view.Link(path, filter...)
	}
	if next != "" {
		after = view.Link(path, append(filter, "page_token", next)...)
	}
	return first, after
}

func (d *Dashboard) loadOrder(ctx context.Context, id string) (view.Order, error) {
	var o view.Order
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		answer, err := d.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		o.Order = answer.GetOrder()
		return err
	})
	group.Go(func() error {
		answer, err := d.orders.ListOrderEvents(ctx, &orderv1.ListOrderEventsRequest{OrderId: id})
		o.Events = answer.GetEvents()
		return err
	})
	group.Go(func() error {
		if err := d.loadBilling(ctx, id, &o); err != nil && ctx.Err() == nil {
			d.env.Logger.WarnContext(ctx, "billing cannot be asked", slog.Any("error", err))
			o.Blind = true
		}
		return nil
	})
	return o, group.Wait()
}

func (d *Dashboard) loadBilling(ctx context.Context, id string, o *view.Order) error {
	payments, err := d.billing.ListPayments(ctx, &billingv1.ListPaymentsRequest{OrderId: id, All: true})
	if err != nil {
		return err
	}
	o.Payments = payments.Payments
	for range o.Payments {
		o.Keys = append(o.Keys, crypto.Token(16))
	}
	invoices, err := d.billing.ListInvoices(ctx, &billingv1.ListInvoicesRequest{OrderId: id, All: true})
	o.Invoices = invoices.GetInvoices()
	return err
}

func (d *Dashboard) showOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return d.presentOrder(w, r, v, nil)
}

// presentOrder shows an order, and above it why an action did not work.
func (d *Dashboard) presentOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit, problem error) error {
	o, err := d.loadOrder(v.As(r.Context(), ""), r.PathValue("id"))
	if err != nil {
		return err
	}
	f, status := d.frame(r, v, "Order "+o.Order.Number, ordersPath), http.StatusOK
	if problem != nil {
		p := d.site.Explain(r, problem)
		f.Problem, status = &p, p.Status
		if strings.HasSuffix(r.URL.Path, "/cancel") {
			o.Reason = r.PostForm.Get("reason")
		}
	}
	return browser.Show(w, r, status, view.OrderPage(f, o))
}

// act does one thing to an order and goes back to its page.
func (d *Dashboard) act(w http.ResponseWriter, r *http.Request, v *browser.Visit, sentence string, do func(ctx context.Context, id string) error) error {
	id := r.PathValue("id")
	if err := do(v.As(r.Context(), ""), id); err != nil {
		return d.presentOrder(w, r, v, err)
	}
	return browser.SeeOther(w, r, view.Link(orderPath(id), "done", sentence))
}

func (d *Dashboard) cancelOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return d.act(w, r, v, "cancelled", func(ctx context.Context, id string) error {
		reason := strings.TrimSpace(r.PostForm.Get("reason"))
		if reason == "" {
			return fault.Invalid("reason", "must be given")
		}
		if err := sure(r); err != nil {
			return err
		}
		_, err := d.orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id, Reason: reason})
		return err
	})
}

func (d *Dashboard) fulfillOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return d.act(w, r, v, "fulfilled", func(ctx context.Context, id string) error {
		_, err := d.orders.FulfillOrder(ctx, &orderv1.FulfillOrderRequest{OrderId: id, TrackingNumber: strings.TrimSpace(r.PostForm.Get("tracking_number"))})
		return err
	})
}

func (d *Dashboard) completeOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return d.act(w, r, v, "completed", func(ctx context.Context, id string) error {
		_, err := d.orders.CompleteOrder(ctx, &orderv1.CompleteOrderRequest{OrderId: id})
		return err
	})
}

func (d *Dashboard) refundPayment(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	return d.act(w, r, v, "refunded", func(ctx context.Context, _ string) error {
		if err := sure(r); err != nil {
			return err
		}
		amount, err := money.Parse(strings.TrimSpace(r.PostForm.Get("amount")), r.PostForm.Get("currency"))
		if err != nil || !amount.IsPositive() {
			return fault.Invalid("amount", "must be an amount above nought, such as 19.99")
		}
		_, err = browser.Once(ctx, v, r.PostForm.Get("key"), d.billing.RefundPayment, &billingv1.RefundPaymentRequest{
			PaymentId: r.PathValue("pay"), Reason: strings.TrimSpace(r.PostForm.Get("reason")),
			Amount: &typev1.Money{CurrencyCode: amount.CurrencyCode, AmountMinor: amount.AmountMinor},
		})
		return err
	})
}

func (d *Dashboard) showInvoice(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	answer, err := d.billing.GetInvoicePdf(v.As(r.Context(), ""), &billingv1.GetInvoicePdfRequest{InvoiceId: r.PathValue("id")})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", `inline; filename="invoice.pdf"`)
	_, _ = w.Write(answer.Data) // a browser that went away needs no answer
	return nil
}
