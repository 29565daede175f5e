package commercestack

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/notify"
	"github.com/commercestack/commercestack/controllers/rollout"
)

const (
	// courierPoll is how often a visit looks whether a notice was delivered.
	courierPoll = time.Second
	// refRoutingKey is the key of PagerDuty's Secret.
	refRoutingKey = "routingKey"
)

// noticeOf is what a transition is told as, empty for none. The first revision
// replaces nothing, so nobody is told that it begins.
func noticeOf(before, next rollout.State) notify.Kind {
	if next.Phase == before.Phase && next.Target == before.Target {
		return ""
	}
	switch next.Phase {
	case rollout.PhaseAwaitingApproval:
		return notify.KindAwaitingApproval
	case rollout.PhasePaused:
		return notify.KindPaused
	case rollout.PhaseComplete:
		return notify.KindPromoted
	case rollout.PhaseRolledBack, rollout.PhaseFailed:
		return notify.KindFailed
	case rollout.PhaseProgressing, rollout.PhasePromoting:
		waits := before.Phase == rollout.PhaseAwaitingApproval && before.Resume != rollout.PhasePromoting
		begins := before.Ended() || before.Phase == rollout.PhasePending || before.Phase == rollout.PhaseMigrating || waits
		if begins && next.Current != "" {
			return notify.KindStarted
		}
	case rollout.PhaseIdle, rollout.PhasePending, rollout.PhaseMigrating, rollout.PhaseRollingBack:
	}
	return ""
}

// post puts what a transition is told as into the mailboxes of those who want to
// know. They are stored with the transition, so neither is there without the other.
func (v *visit) post(boxes []notify.Mailbox, before, next rollout.State) []notify.Mailbox {
	boxes = v.mailboxes(boxes)
	kind := noticeOf(before, next)
	if kind == "" {
		return boxes
	}
	n := notify.Notice{
		ID:   string(v.stack.UID) + "-" + next.Target + "-" + string(kind) + "-" + strconv.FormatInt(v.now.UnixMilli(), 36),
		Kind: kind, Namespace: v.stack.Namespace, Stack: v.stack.Name, Revision: next.Target, Version: v.versionOf(next.Target),
		Reason: next.Message, At: v.now,
	}
	for i, receiver := range v.stack.Spec.Rollout.Notifications {
		if wants(receiver, kind, boxes[i].WillAlarm()) {
			boxes[i] = boxes[i].Put(n)
		}
	}
	return boxes
}

// wants says whether a receiver is told.
func wants(receiver v1alpha1.NotificationSpec, kind notify.Kind, alarmed bool) bool {
	pages := receiver.Type == notify.TypePagerDuty
	switch {
	case pages && kind == notify.KindPromoted:
		return alarmed // nothing else is there to resolve
	case len(receiver.On) > 0:
		return slices.Contains(receiver.On, v1alpha1.NotificationEvent(kind))
	default:
		return !pages || kind == notify.KindFailed
	}
}

// mailboxes are those of the spec, in its order: of a receiver that is gone none is left.
func (v *visit) mailboxes(boxes []notify.Mailbox) []notify.Mailbox {
	var wanted []notify.Mailbox
	for _, receiver := range v.stack.Spec.Rollout.Notifications {
		box := notify.Mailbox{Receiver: receiver.Name}
		if i := slices.IndexFunc(boxes, func(b notify.Mailbox) bool { return b.Receiver == receiver.Name }); i >= 0 {
			box = boxes[i]
		}
		wanted = append(wanted, box)
	}
	return wanted
}

// notify delivers what waits, in the background, and stores what was delivered.
func (v *visit) notify(ctx context.Context) Result {
	if v.pass.Dry() || v.roll.object == nil {
		return Result{}
	}
	boxes := v.mailboxes(v.roll.Mailboxes)
	var outcome Outcome
	var settled []string
	for i, receiver := range v.stack.Spec.Rollout.Notifications {
		n, due := boxes[i].Due(v.now)
		if !due {
			if len(boxes[i].Waiting) > 0 {
				outcome.Add("notify", v.wakeAt(boxes[i].RetryAt))
			}
			continue
		}
		key := n.ID + "/" + receiver.Name
		problem, ended := v.courier.Result(key)
		if !ended {
			var to notify.Receiver
			if to, problem = v.receiver(ctx, receiver); problem == "" {
				v.courier.Send(key, to, n)
				outcome.Add("notify", after(courierPoll))
				continue
			}
		}
		settled = append(settled, key)
		if problem != "" {
			v.warnf("NotificationFailed", "Notify", "spec.rollout.notifications %s: %s", receiver.Name, problem)
		}
		boxes[i] = boxes[i].Settle(n.ID, problem, v.now)
		if len(boxes[i].Waiting) > 0 {
			outcome.Add("notify", v.wakeAt(boxes[i].RetryAt))
		}
	}
	if !reflect.DeepEqual(boxes, v.roll.Mailboxes) && (len(boxes) > 0 || len(v.roll.Mailboxes) > 0) {
		next := v.roll.stored
		next.Mailboxes = boxes
		if err := v.storeRollout(ctx, next); err != nil {
			return failed(err)
		}
	}
	for _, key := range settled {
		v.courier.Forget(key)
	}
	v.noteNotifications(boxes)
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}

// receiver reads the Secret of a receiver. A missing one holds up nobody but it.
func (v *visit) receiver(ctx context.Context, spec v1alpha1.NotificationSpec) (to notify.Receiver, problem string) {
	key := refURL
	if spec.Type == notify.TypePagerDuty {
		key = refRoutingKey
	}
	secret := &corev1.Secret{}
	if err := v.Live.Get(ctx, v.key(spec.SecretRef.Name), secret); err != nil {
		if missing(err) {
			return to, fmt.Sprintf("there is no Secret %q: create it with the key %s", spec.SecretRef.Name, key)
		}
		return to, fmt.Sprintf("the Secret %q cannot be read", spec.SecretRef.Name)
	}
	value := strings.TrimSpace(string(secret.Data[key]))
	if value == "" {
		return to, fmt.Sprintf("the Secret %q has no key %q: add it", spec.SecretRef.Name, key)
	}
	return notify.Receiver{Type: spec.Type, Secret: value}, ""
}

func (v *visit) noteNotifications(boxes []notify.Mailbox) {
	v.status.Notifications = nil
	for _, box := range boxes {
		v.status.Notifications = append(v.status.Notifications, v1alpha1.NotificationStatus{
			Name: box.Receiver, Waiting: int32(len(box.Waiting)), LastSentAt: stamp(box.SentAt), LastError: box.LastError,
		})
	}
}
