// Package job runs a component's background work: jobs that are written in the
// transaction of the fact that asks for them, are tried again until they
// succeed, and survive any crash. It is River over the component's own schema.
//
// A job may run twice (its process can die between the work and its record), so
// what it does is idempotent.
package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// DefaultQueue is the queue of jobs that name none.
const DefaultQueue = river.QueueDefault

// Args are the arguments of a kind of job. Kind is its stable name in the
// database; the JSON of the value is stored, so it holds no secret in clear.
type Args = river.JobArgs

// Job is one job at work. Attempt counts from 1.
type Job[T Args] = river.Job[T]

// Cancel makes a job fail for good: a worker returns it instead of an error
// that trying again could heal.
func Cancel(err error) error { return river.JobCancel(err) }

// Snooze makes a job run again after d without counting an attempt.
func Snooze(d time.Duration) error { return river.JobSnooze(d) }

// Config tunes a component's jobs. Zero values take the defaults named here.
type Config struct {
	// Queues are the number of jobs of each queue that run at once in a process; {"default": 10}.
	Queues map[string]int
	// MaxAttempts of a job that says nothing else; 25, about 18 hours.
	MaxAttempts int
	// Timeout of one attempt; 1 min.
	Timeout time.Duration
	// Poll is how often jobs are looked for without a notification; 2 s.
	Poll time.Duration
	// Drain is how long running jobs may go on at a stop before their context ends; 10 s.
	Drain time.Duration
	// Logger takes failures; slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics commerce_job_*; nil registers none.
	Registry prometheus.Registerer

	// quick leaves out River's staggered start, for tests.
	quick bool
}

// Opts say how one job is queued. The zero value runs it as soon as possible.
type Opts struct {
	// At is when the job may run first; zero means now.
	At time.Time
	// Queue other than DefaultQueue. It must be one of Config.Queues.
	Queue string
	// MaxAttempts other than the client's.
	MaxAttempts int
	// Priority from 1 (first) to 4; 0 means 1.
	Priority int
	// Unique leaves the job out while an equal one (same kind, same arguments) waits or runs. A job that
	// must see what its transaction changed is not unique: the running one may have read before.
	Unique bool
}

// Client queues jobs and runs them. Register and Periodic come before Run.
type Client struct {
	db       *postgres.DB
	config   Config
	insert   *river.Client[*sql.Tx]
	workers  *river.Workers
	kinds    map[string]bool
	periodic []*river.PeriodicJob
	metrics  *metrics
	running  atomic.Bool
}

// New returns a client over db's schema, which holds River's tables.
func New(db *postgres.DB, config Config) (*Client, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if len(config.Queues) == 0 {
		config.Queues = map[string]int{DefaultQueue: 10}
	}
	config.Timeout = orDefault(config.Timeout, time.Minute)
	config.Poll = orDefault(config.Poll, 2*time.Second)
	config.Drain = orDefault(config.Drain, 10*time.Second)
	if config.MaxAttempts == 0 {
		config.MaxAttempts = river.MaxAttemptsDefault
	}
	c := &Client{db: db, config: config, workers: river.NewWorkers(), kinds: map[string]bool{}, metrics: newMetrics(db)}
	insert, err := river.NewClient(c.driver(), &river.Config{
		Logger: c.riverLogger(), MaxAttempts: config.MaxAttempts, FetchCooldown: fetchCooldown,
	})
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	c.insert = insert
	if config.Registry != nil {
		if err := config.Registry.Register(c.metrics); err != nil {
			return nil, fmt.Errorf("job: metrics: %w", err)
		}
	}
	return c, nil
}

// fetchCooldown bounds both fetches and notifications to 20 a second: each
// notification makes the commits of the database queue for a moment.
const fetchCooldown = 50 * time.Millisecond

func orDefault(d, value time.Duration) time.Duration {
	if d == 0 {
		return value
	}
	return d
}

// The schema stays empty: River finds its tables by the search path, and does not quote names such as "order".
func (c *Client) driver() *riverdatabasesql.Driver {
	return riverdatabasesql.NewWithPgxListener(c.db.SQL(), c.db.Pool())
}

// metadata rides along with a job.
type metadata struct {
	RequestID string `json:"request_id,omitempty"`
}

// Insert queues a job that becomes visible when tx commits and never when it
// does not. The job carries ctx's request id, so its log lines have it too.
func (c *Client) Insert(ctx context.Context, tx *postgres.Tx, args Args, opts *Opts) error {
	options, err := c.options(ctx, args, opts)
	if err != nil {
		return err
	}
	if _, err := c.insert.InsertTx(ctx, tx.Tx, args, options); err != nil {
		return fmt.Errorf("job: insert %s: %w", args.Kind(), err)
	}
	return nil
}

// InsertMany queues several jobs under the same options with one statement.
func (c *Client) InsertMany(ctx context.Context, tx *postgres.Tx, jobs []Args, opts *Opts) error {
	if len(jobs) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(jobs))
	for i, args := range jobs {
		options, err := c.options(ctx, args, opts)
		if err != nil {
			return err
		}
		params[i] = river.InsertManyParams{Args: args, InsertOpts: options}
	}
	if _, err := c.insert.InsertManyTx(ctx, tx.Tx, params); err != nil {
		return fmt.Errorf("job: insert %d jobs: %w", len(jobs), err)
	}
	return nil
}

func (c *Client) options(ctx context.Context, args Args, opts *Opts) (*river.InsertOpts, error) {
	if !c.kinds[args.Kind()] {
		return nil, fmt.Errorf("job: no worker is registered for %q", args.Kind())
	}
	if opts == nil {
		opts = &Opts{}
	}
	if _, ok := c.config.Queues[opts.Queue]; opts.Queue != "" && !ok {
		return nil, fmt.Errorf("job: queue %q does not exist", opts.Queue)
	}
	data, err := json.Marshal(metadata{RequestID: telemetry.RequestID(ctx)})
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	options := &river.InsertOpts{
		MaxAttempts: opts.MaxAttempts, Metadata: data, Priority: opts.Priority, Queue: opts.Queue, ScheduledAt: opts.At,
	}
	if opts.Unique {
		options.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}}
	}
	return options, nil
}

// Retry makes a job that was given up on run again.
func (c *Client) Retry(ctx context.Context, id int64) error {
	if _, err := c.insert.JobRetry(ctx, id); err != nil {
		return fmt.Errorf("job: retry %d: %w", id, postgres.Fault(err))
	}
	return nil
}

// Run works on jobs until ctx ends, then lets running ones finish. Without
// registered workers it only waits.
func (c *Client) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("job: Run runs already")
	}
	defer c.running.Store(false)
	if len(c.kinds) == 0 {
		<-ctx.Done()
		return nil
	}
	queues := make(map[string]river.QueueConfig, len(c.config.Queues))
	for name, n := range c.config.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: n}
	}
	client, err := river.NewClient(c.driver(), &river.Config{
		ErrorHandler: errorHandler{logger: c.config.Logger, schema: c.db.Schema()}, FetchCooldown: fetchCooldown,
		FetchPollInterval: c.config.Poll, JobTimeout: c.config.Timeout, Logger: c.riverLogger(),
		MaxAttempts: c.config.MaxAttempts, PeriodicJobs: c.periodic, Queues: queues,
		// Rebuilding indexes needs their owner, which a component is not.
		ReindexerIndexNames: []string{},
		// A job whose process died runs again after this long.
		RescueStuckJobsAfter: 2 * c.config.Timeout,
		RetryPolicy:          retryPolicy{}, SoftStopTimeout: c.config.Drain, TestOnly: c.config.quick, Workers: c.workers,
	})
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("job: start: %w", postgres.Fault(err))
	}
	<-ctx.Done()
	if err := client.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("job: stop: %w", err)
	}
	return nil
}

// retryPolicy doubles the pause from 2 s up to an hour, with jitter.
type retryPolicy struct{}

// NextRetry implements river.ClientRetryPolicy.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(Backoff(len(job.Errors) + 1))
}

// Backoff is the pause after the given failed attempt (1 for the first): 2 s
// doubling up to an hour, give or take a tenth.
func Backoff(attempt int) time.Duration {
	const longest = time.Hour
	d := longest
	if attempt < 12 {
		d = min(time.Second<<max(attempt, 1), longest)
	}
	return time.Duration(float64(d) * (0.9 + rand.Float64()/5)) //nolint:gosec // spreads load, guards nothing
}
