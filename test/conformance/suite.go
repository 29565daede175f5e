package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Needs is what a case asks of the shop beside its public address.
type Needs struct {
	// Admin is an administrator's login.
	Admin bool
	// Development is captured mail at /dev/mail.
	Development bool
	// Books is a look into the books of the Stripe simulator.
	Books bool
	// Faults makes the Stripe simulator misbehave. Such cases run alone.
	Faults bool
}

// Case is one trap, or a part of one.
type Case struct {
	// Trap is its number; 0 is the contract itself.
	Trap int
	// Name in lower case with dashes, unique.
	Name string
	// Rule is what must hold, in one sentence.
	Rule string
	// Needs of the case.
	Needs Needs
	// Run returns nil, or why the rule does not hold.
	Run func(ctx context.Context, s *Session) error
}

// Options say which shop is examined, and how.
type Options struct {
	// URL of the shop.
	URL string
	// AdminEmail and AdminPassword log in; without them cases that need an administrator are skipped.
	AdminEmail, AdminPassword string
	// SimulatorKey is the secret key of the Stripe simulator, "sk_test_…"; without it cases that need the simulator are skipped.
	SimulatorKey string
	// HTTP reaches the shop; nil is a client that trusts the system's authorities.
	HTTP *http.Client
	// Only keeps the cases of these traps; empty keeps all.
	Only []int
	// Parallel is how many cases run at once; 0 means 4.
	Parallel int
	// Out gets a line for each case as it ends; nil prints nothing.
	Out io.Writer
}

// Result is the outcome of one case.
type Result struct {
	Case Case
	// Err is why the case failed; nil when it passed or was skipped.
	Err error
	// Skipped says what was missing to run it; "" when it ran.
	Skipped string
	// Took is how long it ran.
	Took time.Duration
}

// Report is the outcome of a run.
type Report struct {
	// Results in the order of the traps.
	Results []Result
	// Took is how long the run was.
	Took time.Duration
}

// Failed counts the cases that failed.
func (r Report) Failed() int {
	return r.count(func(result Result) bool { return result.Err != nil })
}

// Skipped counts the cases that could not run.
func (r Report) Skipped() int {
	return r.count(func(result Result) bool { return result.Skipped != "" })
}

// Passed counts the cases that held.
func (r Report) Passed() int { return len(r.Results) - r.Failed() - r.Skipped() }

func (r Report) count(is func(Result) bool) int {
	n := 0
	for _, result := range r.Results {
		if is(result) {
			n++
		}
	}
	return n
}

// caseTimeout bounds one case, so that a shop that hangs fails it.
const caseTimeout = 4 * time.Minute

// Cases returns every case in the order of the traps.
func Cases() []Case {
	all := slices.Concat(stockCases, paymentCases, faultCases, webhookCases, refundCases, moneyCases, quantityCases, numberCases,
		idempotencyCases, sessionCases, passwordCases, ownerCases, cartCases, mailCases, limitCases, catalogCases, contractCases, tokenCases)
	slices.SortStableFunc(all, func(a, b Case) int { return cmp.Compare(a.Trap, b.Trap) })
	return all
}

// choose keeps the cases of the given traps.
func choose(only []int) ([]Case, error) {
	all := Cases()
	for _, trap := range only {
		if !slices.ContainsFunc(all, func(c Case) bool { return c.Trap == trap }) {
			if len(HeldBy(trap)) > 0 {
				return nil, fmt.Errorf("trap %d cannot be seen from outside, component tests hold it", trap)
			}
			return nil, fmt.Errorf("there is no trap %d", trap)
		}
	}
	if len(only) > 0 {
		all = slices.DeleteFunc(all, func(c Case) bool { return !slices.Contains(only, c.Trap) })
	}
	return all, nil
}

// Run examines a shop. The error tells why it could not be examined at all; a
// trap that the shop falls into is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	chosen, err := choose(o.Only)
	if err != nil {
		return Report{}, err
	}
	started := time.Now()
	s, err := open(ctx, o)
	if err != nil {
		return Report{}, err
	}
	defer s.Guest.HTTP.CloseIdleConnections()
	r := runner{session: s, out: o.Out, results: make([]Result, len(chosen))}
	var alone []int
	var group sync.WaitGroup
	slots := make(chan struct{}, cmp.Or(max(o.Parallel, 0), 4))
	for i, c := range chosen {
		if c.Needs.Faults {
			alone = append(alone, i)
			continue
		}
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r.run(ctx, i, c)
		})
	}
	group.Wait()
	for _, i := range alone {
		r.run(ctx, i, chosen[i])
	}
	return Report{Results: r.results, Took: time.Since(started)}, ctx.Err()
}

// runner runs cases and prints their lines one by one.
type runner struct {
	session *Session
	out     io.Writer
	printed sync.Mutex
	results []Result
}

func (r *runner) run(ctx context.Context, at int, c Case) {
	result := Result{Case: c, Skipped: r.session.lacks(c.Needs)}
	started := time.Now()
	if result.Skipped == "" {
		result.Err = r.session.examine(ctx, c)
	}
	result.Took = time.Since(started)
	r.results[at] = result
	if r.out == nil {
		return
	}
	r.printed.Lock()
	defer r.printed.Unlock()
	_, _ = fmt.Fprintln(r.out, result)
}

// String is the line of the result.
func (r Result) String() string {
	verdict := "ok"
	switch {
	case r.Skipped != "":
		verdict = "skipped: " + r.Skipped
	case r.Err != nil:
		verdict = "FAILED: " + strings.Join(strings.Fields(r.Err.Error()), " ") // one line
	}
	trap := "contract"
	if r.Case.Trap > 0 {
		trap = fmt.Sprintf("trap %02d", r.Case.Trap)
	}
	return fmt.Sprintf("%-8s  %-46s %6d ms  %s", trap, r.Case.Name, r.Took.Milliseconds(), verdict)
}

// examine runs one case, and puts the simulator right again after it.
func (s *Session) examine(ctx context.Context, c Case) (err error) {
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	if c.Needs.Faults {
		if err := s.Stripe.Clear(ctx); err != nil {
			return err
		}
		defer func() {
			clearCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer stop()
			err = errors.Join(err, s.Stripe.Clear(clearCtx))
		}()
	}
	return c.Run(ctx, s)
}
