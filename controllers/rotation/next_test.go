package rotation

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestStages walks every kind through its program and says what is done where.
func TestStages(t *testing.T) {
	t.Parallel()
	want := map[Kind]string{
		KindLogin:          "Generating:Generate SettingLogin:RunJob Promoting:Publish RetiringLogin:RunJob Erasing:Erase",
		KindCacheLogin:     "Generating:Generate Distributing: SettingLogin:RunJob Promoting:Publish RetiringLogin:RunJob Erasing:Erase",
		KindIdentityKeys:   "Generating:Generate Introducing:Publish Promoting:Publish Overlapping: Dropping:Publish Erasing:Erase",
		KindEncryptionKeys: "Generating:Generate Introducing:Publish Promoting:Publish Rewriting:RunJob Dropping:Publish Erasing:Archive",
		KindWebhook:        "Generating:Adopt Promoting:Publish Overlapping: Dropping:Publish Erasing:Erase",
		KindSigningKeys:    "Promoting:Publish Leading: Overlapping:",
	}
	for _, kind := range kinds {
		m := newMachine(1, kind)
		w := m.worlds[string(kind)]
		w.offered, m.now = "ffff", start.Add(testPolicy.Interval)
		var got []string
		last := StageCurrent
		for range 100 {
			r := m.visit(all)
			if s := r.States[0]; s.Stage != last && !s.Idle() {
				did := ""
				if len(r.Effects) > 0 {
					did = string(r.Effects[0].Kind)
				}
				got = append(got, string(s.Stage)+":"+did)
				last = s.Stage
			}
			for _, job := range w.jobs {
				w.finish(job, false)
			}
			w.pods[0] = w.want
			m.tick()
			if m.states[0].Idle() {
				break
			}
		}
		if strings.Join(got, " ") != want[kind] {
			t.Errorf("%s goes %s\nwant %s", kind, strings.Join(got, " "), want[kind])
		}
	}
}

func TestNextIsTheSameUntilSomethingChanges(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, step := range program(kind) {
			s := New("x", kind, start)
			s = s.begin(Observation{Offered: "ffff"}, start).enter(step.stage, start)
			first, effects := testPolicy.Next(s, Observation{}, start)
			again, repeated := testPolicy.Next(first, Observation{}, start)
			if !reflect.DeepEqual(first, again) || !reflect.DeepEqual(effects, repeated) {
				t.Errorf("%s in %s: %+v %+v, then %+v %+v", kind, step.stage, first, effects, again, repeated)
			}
		}
	}
}

func login(stage Stage) State {
	s := New("postgres-order", KindLogin, start)
	return s.begin(Observation{}, start).enter(stage, start)
}

func TestJobsThatFail(t *testing.T) {
	t.Parallel()
	s, now := login(StageSettingLogin), start
	failed := func(s State) Observation {
		return Observation{Vault: []ID{"1a", "2b"}, Jobs: map[string]JobObservation{s.job(VerbSetLogin, s.Next).ID: {Phase: JobFailed, Message: "connection refused"}}}
	}
	seen := map[string]bool{}
	for attempt := 1; attempt < testPolicy.Attempts; attempt++ {
		var effects []Effect
		s, effects = testPolicy.Next(s, failed(s), now)
		if s.Stage != StageSettingLogin || s.Attempt != attempt || s.LastError != "connection refused" || len(effects) != 0 {
			t.Fatalf("after attempt %d: %+v, %v", attempt, s, effects)
		}
		if !testPolicy.Wake(s, now).Equal(s.RetryAt) {
			t.Errorf("wakes at %s, not %s", testPolicy.Wake(s, now), s.RetryAt)
		}
		now = s.RetryAt
		_, effects = testPolicy.Next(s, Observation{}, now)
		if len(effects) != 1 || effects[0].Kind != EffectRunJob || seen[effects[0].Job.ID] {
			t.Fatalf("attempt %d runs %v", attempt, effects)
		}
		seen[effects[0].Job.ID] = true
	}
	s, effects := testPolicy.Next(s, failed(s), now)
	if s.Stage != StageDiscarding || s.Failures != 1 || s.Content() != (Content{Use: "1a"}) || s.Status() != "Failed" {
		t.Fatalf("given up as %+v, %v", s, effects)
	}
}

// TestDiscardingStopsWhatGivesThePassword: the Job that takes it must be the last.
func TestDiscardingStopsWhatGivesThePassword(t *testing.T) {
	t.Parallel()
	s := login(StageSettingLogin)
	set := s.job(VerbSetLogin, s.Next)
	o := Observation{Vault: []ID{"2b"}, RolloutWaits: true, Jobs: map[string]JobObservation{set.ID: {Phase: JobRunning}}}
	s, effects := testPolicy.Next(s, o, start)
	if s.Stage != StageDiscarding || len(effects) != 1 || effects[0].Kind != EffectStopJob || effects[0].Job != set {
		t.Fatalf("%+v, %+v", s, effects)
	}
	o.Jobs = nil
	if _, effects = testPolicy.Next(s, o, start); len(effects) != 1 || effects[0].Job.Verb != VerbRetireLogin || effects[0].Job.Version != "2b" {
		t.Fatalf("%+v", effects)
	}
}

// TestPublishingThatFails is taken back only while nothing depends on it.
func TestPublishingThatFails(t *testing.T) {
	t.Parallel()
	late := start.Add(testPolicy.ProgressDeadline + time.Second)
	for kind, back := range map[Kind]map[Stage]bool{
		KindLogin:          {StagePromoting: true},
		KindWebhook:        {StagePromoting: true, StageDropping: false},
		KindIdentityKeys:   {StageIntroducing: true, StagePromoting: false, StageDropping: false},
		KindEncryptionKeys: {StageIntroducing: true, StagePromoting: false, StageDropping: false},
	} {
		for stage, want := range back {
			s := New("x", kind, start).begin(Observation{Offered: "ffff"}, start).enter(stage, start)
			got, effects := testPolicy.Next(s, Observation{}, late)
			if (got.Stage == StageReverting) != want || got.LastError == "" || got.Status() != "Failed" {
				t.Errorf("%s in %s becomes %+v", kind, stage, got)
			}
			if len(effects) != 1 || effects[0].Kind != EffectPublish || (want && effects[0].Content.Use != s.Active) {
				t.Errorf("%s in %s does %+v", kind, stage, effects)
			}
		}
	}
}

func TestAnOldConsumerHoldsTheEnd(t *testing.T) {
	t.Parallel()
	s := login(StageRetiringLogin)
	done := map[string]JobObservation{s.job(VerbRetireLogin, "1a").ID: {Phase: JobSucceeded}}
	got, effects := testPolicy.Next(s, Observation{Jobs: done}, start)
	if got.Stage != StageRetiringLogin || len(effects) != 1 || effects[0].Kind != EffectPublish {
		t.Errorf("%+v, %+v", got, effects)
	}
}

func TestAnUnknownStageIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := login("Dancing")
	got, effects := testPolicy.Next(s, Observation{}, start)
	if got.Stage != "Dancing" || got.LastError == "" || len(effects) != 0 || got.Content() != (Content{Use: "1a"}) {
		t.Errorf("%+v, %+v", got, effects)
	}
}

func TestGivenUpRolesKeepAlternating(t *testing.T) {
	t.Parallel()
	s := login(StageForgetting)
	s.Failures = 1
	s, _ = testPolicy.Next(s, Observation{Vault: []ID{"1a"}}, start)
	if !s.Idle() || s.Active != "1a" || !s.RetryAt.After(start) {
		t.Fatalf("%+v", s)
	}
	if s = s.begin(Observation{}, start); s.Next != "3b" || s.Next.Slot() != "b" {
		t.Errorf("the next version is %s beside %s", s.Next, s.Active)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for stage, want := range map[Stage]string{
		StageCurrent: "Current", StageGenerating: "Pending", StageSettingLogin: "Pending", StagePromoting: "Publishing",
		StageRetiringLogin: "Retiring", StageErasing: "Retiring", StageReverting: "Publishing", StageDiscarding: "Pending",
	} {
		if got := login(stage).Status(); got != want {
			t.Errorf("%s is shown as %s, want %s", stage, got, want)
		}
	}
}

// TestNoPublishBeginsDuringARollout: one thing at a time moves pods.
func TestNoPublishBeginsDuringARollout(t *testing.T) {
	t.Parallel()
	s := login(StageSettingLogin)
	o := Observation{Rollout: true, Jobs: map[string]JobObservation{s.job(VerbSetLogin, s.Next).ID: {Phase: JobSucceeded}}}
	if got, _ := testPolicy.Next(s, o, start); got.Stage != StageSettingLogin {
		t.Errorf("during a rollout: %s", got.Stage)
	}
	o.Rollout = false
	if got, _ := testPolicy.Next(s, o, start); got.Stage != StagePromoting {
		t.Errorf("after it: %s", got.Stage)
	}
}

// TestWaitsDoNotEndWhileAConsumerIsBehind, nor does the vault's last step.
func TestWaitsDoNotEndWhileAConsumerIsBehind(t *testing.T) {
	t.Parallel()
	for _, stage := range []Stage{StageOverlapping, StageErasing} {
		s := New("x", KindIdentityKeys, start).begin(Observation{}, start).enter(stage, start)
		late := start.Add(24 * time.Hour)
		if got, effects := testPolicy.Next(s, Observation{}, late); got.Stage != stage || len(effects) != 1 || effects[0].Kind != EffectPublish {
			t.Errorf("%s becomes %s and does %+v", stage, got.Stage, effects)
		}
		if got, _ := testPolicy.Next(s, Observation{Deployed: s.Content()}, late); got.Stage == stage {
			t.Errorf("%s does not end", stage)
		}
	}
}

// TestARightSecretAfterAWrongOneDoesNotWait for the overlap with the wrong one.
func TestARightSecretAfterAWrongOneDoesNotWait(t *testing.T) {
	t.Parallel()
	s := New("x", KindWebhook, start).begin(Observation{Offered: "bad0"}, start).enter(StageOverlapping, start)
	o := Observation{Deployed: s.Content(), Offered: "bad0"}
	if got, _ := testPolicy.Next(s, o, start); got.Stage != StageOverlapping {
		t.Errorf("without another one: %s", got.Stage)
	}
	o.Offered = "600d"
	if got, _ := testPolicy.Next(s, o, start); got.Stage != StageDropping {
		t.Errorf("with another one: %s", got.Stage)
	}
}
