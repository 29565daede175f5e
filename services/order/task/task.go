package task

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/services/order"
)

// maxAttempts of an errand: with pauses up to an hour, about four days of an
// upstream being down. Goods and money must not be forgotten before a person looks.
const maxAttempts = 100

// Release gives an order's goods back to the stock.
type Release struct {
	// OrderID is the reservation's key.
	OrderID uuid.UUID `json:"order_id"`
	// Reason is for the stock's ledger.
	Reason string `json:"reason"`
}

// Kind is the job's name in the database.
func (Release) Kind() string { return "order_release_stock" }

// Refund gives back what was paid for an order.
type Refund struct {
	// OrderID is the order.
	OrderID uuid.UUID `json:"order_id"`
	// Reason is for billing.
	Reason string `json:"reason"`
}

// Kind is the job's name in the database.
func (Refund) Kind() string { return "order_refund" }

// Sweep expires orders nobody paid and confirms free ones whose placing was cut off.
type Sweep struct{}

// Kind is the job's name in the database.
func (Sweep) Kind() string { return "order_sweep" }

// tidyInterval is how often what nobody needs is thrown away.
const tidyInterval = time.Hour

// Tidy throws away carts nobody comes back for, and what else has served its time.
type Tidy struct{}

// Kind is the job's name in the database.
func (Tidy) Kind() string { return "order_tidy" }

// Args returns the job of an errand.
func Args(errand order.Errand) job.Args {
	switch e := errand.(type) {
	case order.Release:
		return Release(e)
	case order.Refund:
		return Refund(e)
	default:
		// The domain's errands are closed: a new one without a job is a defect that the first test finds.
		panic("order: errand without a job")
	}
}

// Opts are the options errands are queued with.
func Opts() *job.Opts { return &job.Opts{MaxAttempts: maxAttempts} }

// Register makes the client work on the tasks, and sweep once per interval. What
// tidy holds is done with Tidy, each hour.
func Register(jobs *job.Client, service *order.Service, interval time.Duration, tidy ...func(context.Context) error) error {
	job.Register(jobs, func(ctx context.Context, j *job.Job[Release]) error {
		return service.Stock.Release(ctx, j.Args.OrderID, j.Args.Reason)
	})
	job.Register(jobs, func(ctx context.Context, j *job.Job[Refund]) error {
		return service.Purse.Refund(ctx, j.Args.OrderID, j.Args.Reason)
	})
	job.Register(jobs, func(ctx context.Context, _ *job.Job[Sweep]) error {
		if err := service.ConfirmFree(ctx); err != nil {
			return err
		}
		_, err := service.Expire(ctx)
		return err
	})
	job.Register(jobs, func(ctx context.Context, _ *job.Job[Tidy]) error {
		err := service.PurgeCarts(ctx)
		for _, f := range tidy {
			err = errors.Join(err, f(ctx))
		}
		return err
	})
	return errors.Join(jobs.Periodic(interval, Sweep{}), jobs.Periodic(tidyInterval, Tidy{}))
}
