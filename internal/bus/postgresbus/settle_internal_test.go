package postgresbus

import (
	"testing"
	"time"
)

// settling holds two settlements of the lane that are ready.
func settling(l *lane) *run {
	r := &run{settling: make(chan []settlement, 2)}
	r.settling <- []settlement{{lane: l}}
	r.settling <- []settlement{{lane: l}}
	return r
}

func TestSettlementsGatherForAMoment(t *testing.T) {
	t.Parallel()
	l := &lane{}
	started := time.Now()
	if batch := settling(l).gather([]settlement{{lane: l}}); len(batch) != 3 {
		t.Errorf("%d gathered", len(batch))
	}
	if took := time.Since(started); took < settleLinger {
		t.Errorf("only %s were waited", took)
	}
}

func TestSettlementsDoNotWaitWhileALaneWantsTheirRoom(t *testing.T) {
	t.Parallel()
	const rounds = 100
	l := &lane{more: true}
	started := time.Now()
	for range rounds {
		if batch := settling(l).gather([]settlement{{lane: l}}); len(batch) != 3 {
			t.Errorf("%d gathered", len(batch))
		}
	}
	if took := time.Since(started); took > rounds*settleLinger {
		t.Errorf("%d rounds took %s", rounds, took)
	}
}

func TestSettlementsDoNotWaitWhenTheBusStops(t *testing.T) {
	t.Parallel()
	const rounds = 100
	l := &lane{}
	started := time.Now()
	for range rounds {
		r := settling(l)
		close(r.settling)
		if batch := r.gather([]settlement{{lane: l}}); len(batch) != 3 {
			t.Errorf("%d gathered", len(batch))
		}
	}
	if took := time.Since(started); took > rounds*settleLinger {
		t.Errorf("%d rounds took %s", rounds, took)
	}
}
