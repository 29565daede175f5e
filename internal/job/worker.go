package job

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/commercestack/commercestack/internal/telemetry"
)

// Option changes how jobs of one kind are worked on.
type Option func(*settings)

type settings struct {
	timeout time.Duration
	retry   func(attempt int) time.Duration
}

// WithTimeout bounds one attempt instead of Config.Timeout.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithRetry says how long to wait after the given failed attempt (1 for the first) instead of [Backoff].
func WithRetry(pause func(attempt int) time.Duration) Option {
	return func(s *settings) { s.retry = pause }
}

// Register makes work handle the jobs of kind T. It comes before Run, and
// panics when the kind has a worker already, which is a defect.
func Register[T Args](c *Client, work func(ctx context.Context, j *Job[T]) error, options ...Option) {
	w := &worker[T]{client: c, work: work}
	for _, option := range options {
		option(&w.settings)
	}
	var args T
	river.AddWorker(c.workers, w)
	c.kinds[args.Kind()] = true
}

type worker[T Args] struct {
	river.WorkerDefaults[T]

	client   *Client
	work     func(ctx context.Context, j *Job[T]) error
	settings settings
}

// NextRetry implements river.Worker.
func (w *worker[T]) NextRetry(j *river.Job[T]) time.Time {
	if w.settings.retry == nil {
		return time.Time{}
	}
	return time.Now().Add(w.settings.retry(j.Attempt))
}

// Timeout implements river.Worker; 0 means the client's.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.settings.timeout }

// Work implements river.Worker.
func (w *worker[T]) Work(ctx context.Context, j *river.Job[T]) (err error) {
	start, outcome := time.Now(), "panic"
	defer func() {
		w.client.metrics.seconds.WithLabelValues(j.Kind, outcome).Observe(time.Since(start).Seconds())
	}()
	ctx, end := telemetry.StartWork(withRequest(ctx, j.JobRow), "job "+j.Kind)
	defer func() { end(err) }()
	err = w.work(ctx, j)
	outcome = "ok"
	if err != nil {
		outcome = "error"
	}
	return err
}

// withRequest gives the job the request id of whoever asked for it, or its own.
func withRequest(ctx context.Context, row *rivertype.JobRow) context.Context {
	var data metadata
	if json.Unmarshal(row.Metadata, &data) != nil || data.RequestID == "" {
		data.RequestID = fmt.Sprintf("job-%s-%d", row.Kind, row.ID)
	}
	return telemetry.WithRequestID(ctx, data.RequestID)
}

// Periodic queues a job once per interval however many replicas run: the
// elected leader queues it, and the interval itself is unique, so that a change
// of leaders neither doubles nor skips one. The first is due at once. Intervals
// count from midnight UTC when they divide a day.
func (c *Client) Periodic(interval time.Duration, args Args) error {
	const retention = 24 * time.Hour // of completed jobs; a shorter memory could not keep the interval unique
	if interval < time.Second || interval > retention {
		return fmt.Errorf("job: %s every %s: an interval is from 1 s to 24 h", args.Kind(), interval)
	}
	if !c.kinds[args.Kind()] {
		return fmt.Errorf("job: no worker is registered for %q", args.Kind())
	}
	c.periodic = append(c.periodic, river.NewPeriodicJob(aligned(interval), func() (river.JobArgs, *river.InsertOpts) {
		// What failed is not worth queueing behind the next one.
		return args, &river.InsertOpts{MaxAttempts: 3, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: interval}}
	}, &river.PeriodicJobOpts{RunOnStart: true}))
	return nil
}

type aligned time.Duration

// Next implements river.PeriodicSchedule.
func (a aligned) Next(now time.Time) time.Time {
	return now.UTC().Truncate(time.Duration(a)).Add(time.Duration(a))
}

type errorHandler struct {
	logger *slog.Logger
	schema string
}

// HandleError implements river.ErrorHandler.
func (h errorHandler) HandleError(ctx context.Context, row *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.log(ctx, row, slog.Any("cause", err))
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (h errorHandler) HandlePanic(ctx context.Context, row *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	h.log(ctx, row, slog.String("cause", fmt.Sprintf("panic: %v", value)), slog.String("stack", trace))
	return nil
}

func (h errorHandler) log(ctx context.Context, row *rivertype.JobRow, attrs ...slog.Attr) {
	level := slog.LevelWarn
	if row.Attempt >= row.MaxAttempts {
		level = slog.LevelError
	}
	ctx = withRequest(ctx, row)
	attrs = append(attrs, slog.String("component", h.schema), slog.String("job", row.Kind), slog.Int64("job_id", row.ID),
		slog.Int("attempt", row.Attempt), slog.Int("max_attempts", row.MaxAttempts))
	h.logger.LogAttrs(ctx, level, "job failed", append(attrs, telemetry.Attrs(ctx)...)...)
}

// riverLogger passes on what an operator has to know; River tells of each of its own steps.
func (c *Client) riverLogger() *slog.Logger {
	return slog.New(quiet{c.config.Logger.Handler()})
}

type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
