package admin

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/services/admin/view"
)

const (
	overviewDays   = 7
	overviewOrders = 8
	overviewMails  = 5
)

// showOverview asks three components at once. One that is down costs its own
// figures, not the page: this is where people look when something is down.
func (d *Dashboard) showOverview(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	var (
		o       view.Overview
		group   sync.WaitGroup
		ctx     = v.As(r.Context(), "")
		missing = make(chan string, 3)
	)
	for name, ask := range map[string]func(context.Context, *view.Overview) error{
		"analytics": d.askAnalytics, "notification": d.askMails, "order": d.askOrders,
	} {
		group.Go(func() {
			if err := ask(ctx, &o); err != nil {
				d.env.Logger.WarnContext(ctx, "the overview lacks a component", slog.String("target", name), slog.Any("error", err))
				missing <- name
			}
		})
	}
	group.Wait()
	close(missing)
	for name := range missing {
		o.Missing = append(o.Missing, name)
	}
	slices.Sort(o.Missing)
	return browser.Show(w, r, http.StatusOK, view.OverviewPage(d.frame(r, v, "Overview", root), o))
}

func (d *Dashboard) askAnalytics(ctx context.Context, o *view.Overview) error {
	today := d.env.Now().UTC()
	answer, err := d.analytics.ListDailyMetrics(ctx, &analyticsv1.ListDailyMetricsRequest{
		StartDate: today.AddDate(0, 0, 1-overviewDays).Format(time.DateOnly), EndDate: today.Format(time.DateOnly),
	})
	if err != nil {
		return err
	}
	for _, row := range answer.Days {
		if row.Date == today.Format(time.DateOnly) {
			o.Today = append(o.Today, row)
		}
	}
	slices.Reverse(answer.Days)
	o.Days = view.Days(answer.Days)
	return nil
}

func (d *Dashboard) askMails(ctx context.Context, o *view.Overview) error {
	answer, err := d.mails.ListMails(ctx, &notificationv1.ListMailsRequest{PageSize: overviewMails, Status: notificationv1.Mail_DEAD})
	o.Dead, o.More = answer.GetMails(), answer.GetNextPageToken() != ""
	return err
}

func (d *Dashboard) askOrders(ctx context.Context, o *view.Overview) error {
	answer, err := d.orders.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: overviewOrders, All: true})
	o.Orders = answer.GetOrders()
	return err
}
