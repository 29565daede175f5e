package saleevent

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// limit is calls in a period, and how many at once.
type limit struct {
	calls, burst int64
	period       time.Duration
}

// parseLimit reads 200/1s:400; ok is false for what is no limit, such as 0, which is none.
func parseLimit(text v1alpha1.RateLimit) (l limit, ok bool) {
	calls, rest, found := strings.Cut(string(text), "/")
	period, burst, found2 := strings.Cut(rest, ":")
	var err1, err2, err3 error
	l.calls, err1 = strconv.ParseInt(calls, 10, 32)
	l.period, err2 = time.ParseDuration(period)
	l.burst, err3 = strconv.ParseInt(burst, 10, 32)
	ok = found && found2 && err1 == nil && err2 == nil && err3 == nil && l.calls > 0 && l.period > 0 && l.burst > 0
	return l, ok
}

// Tighter is the limit that lets fewer calls through in the long run, and of two
// that are equal in that, the one with the smaller burst. What is no limit is the
// loosest of all.
func Tighter(a, b v1alpha1.RateLimit) v1alpha1.RateLimit {
	first, ok := parseLimit(a)
	if !ok {
		return b
	}
	second, ok := parseLimit(b)
	if !ok {
		return a
	}
	rate := func(l limit) float64 { return float64(l.calls) / l.period.Seconds() }
	if cmp.Or(cmp.Compare(rate(first), rate(second)), cmp.Compare(first.burst, second.burst)) <= 0 {
		return a
	}
	return b
}
