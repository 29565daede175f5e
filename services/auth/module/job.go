package module

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/auth"
)

const (
	// rotateEvery is how often the deadlines of signing keys are looked at.
	rotateEvery = time.Minute
	// republishEvery bounds how long a cache that lost its memory lets ended sessions live.
	republishEvery = 30 * time.Second
	pruneEvery     = 5 * time.Minute
	// mailAttempts spans the life of the longest-lived link.
	mailAttempts = 25
)

// mailArgs is an auth.MailRequest in the job table. Sealed holds the address, the token and the hash, encrypted.
type mailArgs struct {
	ID         uuid.UUID    `json:"id"`
	Purpose    auth.Purpose `json:"purpose"`
	Sealed     []byte       `json:"sealed"`
	CreateTime time.Time    `json:"createTime"`
}

// Kind names the job in the database.
func (mailArgs) Kind() string { return "auth.mail" }

type rotateArgs struct{}

// Kind names the job in the database.
func (rotateArgs) Kind() string { return "auth.rotate_keys" }

type republishArgs struct{}

// Kind names the job in the database.
func (republishArgs) Kind() string { return "auth.republish_revocations" }

type pruneArgs struct{}

// Kind names the job in the database.
func (pruneArgs) Kind() string { return "auth.prune" }

func enqueueMail(jobs *job.Client) func(context.Context, *postgres.Tx, auth.MailRequest) error {
	return func(ctx context.Context, tx *postgres.Tx, request auth.MailRequest) error {
		return jobs.Insert(ctx, tx, mailArgs(request), &job.Opts{MaxAttempts: mailAttempts})
	}
}

// registerJobs makes the service do the component's background work. The
// service comes later than the jobs, because its store queues them.
func registerJobs(jobs *job.Client, service func() *auth.Service) error {
	job.Register(jobs, func(ctx context.Context, j *job.Job[mailArgs]) error {
		return service().DeliverMail(ctx, auth.MailRequest(j.Args))
	})
	job.Register(jobs, func(ctx context.Context, _ *job.Job[rotateArgs]) error { return service().RotateKeys(ctx) })
	job.Register(jobs, func(ctx context.Context, _ *job.Job[republishArgs]) error { return service().RepublishRevocations(ctx) })
	job.Register(jobs, func(ctx context.Context, _ *job.Job[pruneArgs]) error { return service().Prune(ctx) })
	for _, periodic := range []struct {
		every time.Duration
		args  job.Args
	}{{rotateEvery, rotateArgs{}}, {republishEvery, republishArgs{}}, {pruneEvery, pruneArgs{}}} {
		if err := jobs.Periodic(periodic.every, periodic.args); err != nil {
			return err
		}
	}
	return nil
}
