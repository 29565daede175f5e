package rotation

import "time"

// step is one step of a kind's program. It does one thing.
type step struct {
	stage Stage
	// vault is a change of the vault: EffectGenerate, EffectAdopt, EffectErase or EffectArchive.
	vault EffectKind
	// job is what a Job does inside the stack.
	job Verb
	// publish is what consumers are to have from this step on.
	publish func(State) Content
	// wait is how long the step lasts.
	wait func(Policy) time.Duration
}

func useOld(s State) Content     { return Content{Use: s.Active, Accept: s.Next} }
func useNew(s State) Content     { return Content{Use: s.Next, Accept: s.Active} }
func useNewOnly(s State) Content { return Content{Use: s.Next} }

func settle(p Policy) time.Duration         { return p.Settle }
func identityLife(p Policy) time.Duration   { return p.IdentityLife }
func webhookOverlap(p Policy) time.Duration { return p.WebhookOverlap }
func signingLead(p Policy) time.Duration    { return p.SigningLead }
func signingLife(p Policy) time.Duration    { return p.SigningLife }

// program is the list of steps of a kind.
func program(kind Kind) []step {
	var (
		generate  = step{stage: StageGenerating, vault: EffectGenerate}
		introduce = step{stage: StageIntroducing, publish: useOld}
		promote   = step{stage: StagePromoting, publish: useNew}
		drop      = step{stage: StageDropping, publish: useNewOnly}
		erase     = step{stage: StageErasing, vault: EffectErase}

		setLogin    = step{stage: StageSettingLogin, job: VerbSetLogin}
		retireLogin = step{stage: StageRetiringLogin, job: VerbRetireLogin}
	)
	switch kind {
	case KindLogin:
		return []step{generate, setLogin, {stage: StagePromoting, publish: useNewOnly}, retireLogin, erase}
	case KindCacheLogin:
		// The server forgets users when it restarts and reads them from its file,
		// which must have the new one before anybody depends on it.
		return []step{
			generate,
			{stage: StageDistributing, wait: settle},
			setLogin,
			{stage: StagePromoting, publish: useNewOnly},
			retireLogin,
			erase,
		}
	case KindIdentityKeys:
		return []step{generate, introduce, promote, {stage: StageOverlapping, wait: identityLife}, drop, erase}
	case KindEncryptionKeys:
		// Backups are sealed with the old key, so it leaves the consumers and stays in the vault.
		return []step{generate, introduce, promote, {stage: StageRewriting, job: VerbRewrite}, drop, {stage: StageErasing, vault: EffectArchive}}
	case KindWebhook:
		return []step{
			{stage: StageGenerating, vault: EffectAdopt},
			promote,
			{stage: StageOverlapping, wait: webhookOverlap},
			drop, erase,
		}
	case KindSigningKeys:
		return []step{
			{stage: StagePromoting, publish: useNewOnly},
			{stage: StageLeading, wait: signingLead},
			{stage: StageOverlapping, wait: signingLife},
		}
	default:
		return nil
	}
}

// passed are the steps up to the one of the state's stage, that included; none
// at rest and while a rotation is taken back.
func passed(s State) []step {
	steps := program(s.Kind)
	for i := range steps {
		if steps[i].stage == s.Stage {
			return steps[:i+1]
		}
	}
	return nil
}

// current is the step of the state's stage.
func current(s State) (step, bool) {
	steps := passed(s)
	if len(steps) == 0 {
		return step{}, false
	}
	return steps[len(steps)-1], true
}

// following is the step after the state's stage.
func following(s State) (step, bool) {
	if steps, n := program(s.Kind), len(passed(s)); n > 0 && n < len(steps) {
		return steps[n], true
	}
	return step{}, false
}

// firstPublish reports whether the stage is the first that consumers notice:
// the only one that can be taken back, because nothing was signed, sealed or
// retired yet that depends on it.
func firstPublish(s State) bool {
	n := 0
	for _, step := range passed(s) {
		if step.publish != nil {
			n++
		}
	}
	step, found := current(s)
	return found && step.publish != nil && n == 1
}
