package store

import (
	"context"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/order"
	"github.com/commercestack/commercestack/internal/combine"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
	"github.com/commercestack/commercestack/services/order/task"
)

// Store implements the order component's stores.
type Store struct {
	db     *postgres.DB
	client *ent.Client
	jobs   *job.Client
	// placings writes orders that come at the same time together.
	placings *combine.Combiner[placing, int64]
}

var (
	_ order.OrderStore  = (*Store)(nil)
	_ order.CartStore   = (*Store)(nil)
	_ order.CouponStore = (*Store)(nil)
)

// New returns a store on the order component's schema. Errands become jobs of the client.
func New(db *postgres.DB, jobs *job.Client) *Store {
	s := &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), jobs: jobs}
	s.placings = combine.New(placeTogether, s.placeMany)
	return s
}

// InTx runs body in one transaction.
func (s *Store) InTx(ctx context.Context, body func(ctx context.Context, tx order.Tx) error) error {
	return s.db.InTx(ctx, func(ctx context.Context, sqlTx *postgres.Tx) error {
		return body(ctx, &tx{Tx: sqlTx, client: ent.NewClient(ent.Driver(sqlTx.Driver())), jobs: s.jobs})
	})
}

// tx implements order.Tx.
type tx struct {
	*postgres.Tx

	client *ent.Client
	jobs   *job.Client
}

// Once implements order.Tx.
func (t *tx) Once(ctx context.Context, subscriber string, eventID uuid.UUID) (bool, error) {
	return inbox.Once(ctx, t.Tx, subscriber, eventID.String())
}

// Tell implements order.Tx.
func (t *tx) Tell(ctx context.Context, facts ...order.Fact) error {
	events, err := toEvents(facts)
	if err != nil {
		return err
	}
	return outbox.Write(ctx, t.Tx, events...)
}

// Enqueue implements order.Tx.
func (t *tx) Enqueue(ctx context.Context, errands ...order.Errand) error {
	args := make([]job.Args, len(errands))
	for i, errand := range errands {
		args[i] = task.Args(errand)
	}
	return t.jobs.InsertMany(ctx, t.Tx, args, task.Opts())
}
