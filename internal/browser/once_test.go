package browser_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
)

// scripted answers calls with errors, one after another, and then well; it notes their keys.
type scripted struct {
	errs []error
	keys []string
}

func (s *scripted) call(ctx context.Context, request *string) (*string, error) {
	key := ""
	if info, ok := connect.CallInfoForClientContext(ctx); ok {
		key = info.RequestHeader().Get(idempotency.Header)
	}
	s.keys = append(s.keys, key)
	if len(s.errs) == 0 {
		return request, nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, err
}

func TestOnceWaitsForTheFormThatIsUnderWay(t *testing.T) {
	t.Parallel()
	refused, request := fault.Conflict("OUT_OF_STOCK", "sold out"), "chair"
	for name, test := range map[string]struct {
		form string
		errs []error
		want error
		keys []string
	}{
		"at once":              {"f", nil, nil, []string{"visit.f"}},
		"twin":                 {"f", []error{idempotency.ErrInProgress, idempotency.ErrInProgress}, nil, []string{"visit.f", "visit.f", "visit.f"}},
		"the twin was refused": {"f", []error{idempotency.ErrInProgress, refused}, refused, []string{"visit.f", "visit.f"}},
		"refused":              {"f", []error{refused}, refused, []string{"visit.f"}},
		"without a key":        {"", nil, nil, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{errs: test.errs}
				answer, err := browser.Once(t.Context(), &browser.Visit{ID: "visit"}, test.form, s.call, &request)
				if !errors.Is(err, test.want) || err == nil && answer != &request {
					t.Errorf("answer %v, error %v", answer, err)
				}
				if !slices.Equal(s.keys, test.keys) {
					t.Errorf("keys %q", s.keys)
				}
			})
		})
	}
}

func TestOnceGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := func(context.Context, *int) (*int, error) { return nil, idempotency.ErrInProgress }
		start := time.Now()
		_, err := browser.Once(t.Context(), &browser.Visit{}, "f", busy, new(int))
		if took := time.Since(start); !browser.UnderWay(err) || took != 15*time.Second {
			t.Errorf("gave up after %s: %v", took, err)
		}
		gone, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		start = time.Now()
		_, err = browser.Once(gone, &browser.Visit{}, "f", busy, new(int))
		if took := time.Since(start); !browser.UnderWay(err) || took != time.Second {
			t.Errorf("waited %s for a person who left: %v", took, err)
		}
	})
}
