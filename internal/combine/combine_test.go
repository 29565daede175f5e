package combine_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commercestack/commercestack/internal/combine"
)

var errOdd = errors.New("odd")

func double(_ context.Context, calls []int) ([]int, error) {
	outs := make([]int, len(calls))
	for i, n := range calls {
		outs[i] = 2 * n
	}
	return outs, nil
}

func TestCallsThatComeDuringARunGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		c := combine.New(4, func(ctx context.Context, calls []int) ([]int, error) {
			sizes = append(sizes, len(calls)) // one run at a time
			time.Sleep(combine.Patience / 10)
			return double(ctx, calls)
		})
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				time.Sleep(time.Duration(i)) // the first comes alone
				if out, err := c.Do(t.Context(), i); out != 2*i || err != nil {
					t.Errorf("%d: %d, %v", i, out, err)
				}
			})
		}
		all.Wait()
		if !slices.Equal(sizes, []int{1, 4, 4, 1}) {
			t.Errorf("runs of %v", sizes)
		}
	})
}

func TestOneThatFailsFailsAlone(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(){"error": func() {}, "panic": func() { panic("odd") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := combine.New(100, func(ctx context.Context, calls []int) ([]int, error) {
					time.Sleep(time.Millisecond)
					if slices.Contains(calls, 7) {
						fail()
						return nil, errOdd
					}
					return double(ctx, calls)
				})
				var all sync.WaitGroup
				for i := range 20 {
					all.Go(func() {
						time.Sleep(time.Duration(i))
						if out, err := c.Do(t.Context(), i); (err != nil) != (i == 7) || (i != 7 && out != 2*i) {
							t.Errorf("%d: %d, %v", i, out, err)
						}
					})
				}
				all.Wait()
			})
		})
	}
}

func TestARunThatHangsHoldsUpNobodyForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		c := combine.New(10, func(ctx context.Context, calls []int) ([]int, error) {
			if slices.Contains(calls, 0) {
				<-hang
			}
			return double(ctx, calls)
		})
		var all sync.WaitGroup
		all.Go(func() { _, _ = c.Do(t.Context(), 0) })
		synctest.Wait()
		started := time.Now()
		if out, err := c.Do(t.Context(), 1); out != 2 || err != nil {
			t.Errorf("%d, %v", out, err)
		}
		if waited := time.Since(started); waited > combine.Patience {
			t.Errorf("it waited %s", waited)
		}
		close(hang)
		all.Wait()
	})
}

func TestACallerWhoLeavesIsNotRunAndDoesNotEndTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs [][]int
		c := combine.New(10, func(ctx context.Context, calls []int) ([]int, error) {
			runs = append(runs, slices.Clone(calls))
			time.Sleep(time.Millisecond)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return double(ctx, calls)
		})
		var all sync.WaitGroup
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		all.Go(func() {
			if _, err := c.Do(first, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if _, err := c.Do(second, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("the second: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if out, err := c.Do(t.Context(), 2); out != 4 || err != nil {
				t.Errorf("the third: %d, %v", out, err)
			}
		})
		synctest.Wait()
		leaveFirst()
		leaveSecond()
		all.Wait()
		if len(runs) != 2 || !slices.Equal(runs[1], []int{2}) {
			t.Errorf("runs %v", runs)
		}
	})
}

func TestManyCallers(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	c := combine.New(16, func(ctx context.Context, calls []int) ([]int, error) {
		runs.Add(1)
		return double(ctx, calls)
	})
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			for i := range 200 {
				n := 1000*worker + i
				if out, err := c.Do(t.Context(), n); out != 2*n || err != nil {
					t.Errorf("%d: %d, %v", n, out, err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d calls in %d runs", 32*200, runs.Load())
}
