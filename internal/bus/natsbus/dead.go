package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/commercestack/commercestack/internal/bus"
)

const (
	headerAttempts = "Commerce-Attempts"
	headerError    = "Commerce-Error"
)

// bury moves a message to the stream of the dead. When that fails it reports
// false and the message stays with the living.
func (r *run) bury(s bus.Subscription, msg jetstream.Msg, attempts int, cause error) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.handling), requestTimeout)
	defer cancel()
	letter := nats.NewMsg(subjectDead + s.Name)
	letter.Data = msg.Data()
	letter.Header.Set(headerAttempts, strconv.Itoa(attempts))
	letter.Header.Set(headerError, oneLine(cause.Error()))
	id := s.Name
	if meta, err := msg.Metadata(); err == nil {
		id += "/" + strconv.FormatUint(meta.Sequence.Stream, 10)
	}
	if _, err := r.js.PublishMsg(ctx, letter, jetstream.WithMsgID(id)); err != nil {
		r.config.Logger.ErrorContext(ctx, "cannot give up on an event", slog.String("subscription", s.Name), slog.Any("cause", err))
		return false
	}
	r.check(msg.Term())
	return true
}

// oneLine makes text fit for a header.
func oneLine(text string) string {
	text = strings.Map(func(char rune) rune {
		if char < ' ' {
			return ' '
		}
		return char
	}, strings.ToValidUTF8(text, "�"))
	if runes := []rune(text); len(runes) > maxError {
		text = string(runes[:maxError])
	}
	return text
}

// letters calls f for each dead message of the subscription, oldest first, until f reports false.
func (b *Bus) letters(ctx context.Context, subscription string, f func(*jetstream.RawStreamMsg) (bool, error)) error {
	for seq := uint64(1); ; {
		msg, err := b.dead.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subjectDead+subscription))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("natsbus: dead letters of %s: %w", subscription, unavailable(err))
		}
		more, err := f(msg)
		if err != nil || !more {
			return err
		}
		seq = msg.Sequence + 1
	}
}

// Dead implements bus.Operator.
func (b *Bus) Dead(ctx context.Context, subscription string, limit int) (all []bus.DeadLetter, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = b.letters(ctx, subscription, func(msg *jetstream.RawStreamMsg) (bool, error) {
		letter := bus.DeadLetter{LastError: msg.Header.Get(headerError)}
		letter.Attempts, _ = strconv.Atoi(msg.Header.Get(headerAttempts)) // 0 when somebody else wrote it
		if err := letter.Event.UnmarshalJSON(msg.Data); err != nil {
			return false, err
		}
		all = append(all, letter)
		return len(all) < limit, nil
	})
	return all, err
}

// Redrive implements bus.Operator. A crash in between repeats nothing: the
// sequence of the dead letter is the id of its return.
func (b *Bus) Redrive(ctx context.Context, subscription string) (n int, err error) {
	err = b.letters(ctx, subscription, func(letter *jetstream.RawStreamMsg) (bool, error) {
		id := fmt.Sprintf("redrive/%s/%d", subscription, letter.Sequence)
		if _, err := b.js.Publish(ctx, subjectRedrive+subscription, letter.Data, jetstream.WithMsgID(id)); err != nil {
			return false, fmt.Errorf("natsbus: redrive %s: %w", subscription, unavailable(err))
		}
		if err := b.dead.DeleteMsg(ctx, letter.Sequence); err != nil {
			return false, fmt.Errorf("natsbus: redrive %s: %w", subscription, unavailable(err))
		}
		n++
		return true, nil
	})
	return n, err
}

// Replay implements bus.Operator.
func (b *Bus) Replay(ctx context.Context, subscription string, since time.Time) (int, error) {
	consumer, err := b.events.Consumer(ctx, strings.ReplaceAll(subscription, ".", "-"))
	if err != nil {
		return 0, fmt.Errorf("natsbus: replay %s: %w", subscription, unavailable(err))
	}
	var subjects []string
	for _, subject := range consumer.CachedInfo().Config.FilterSubjects {
		if strings.HasPrefix(subject, subjectEvent) {
			subjects = append(subjects, subject)
		}
	}
	return b.replay(ctx, subscription, subjects, since)
}

// replay copies what the stream holds of the subjects since then to the subscription's own subject.
func (b *Bus) replay(ctx context.Context, subscription string, subjects []string, since time.Time) (n int, err error) {
	reader, err := b.events.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	})
	if err != nil {
		return 0, fmt.Errorf("natsbus: replay %s: %w", subscription, unavailable(err))
	}
	info, err := reader.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return 0, unavailable(err)
	}
	messages, err := reader.Messages()
	if err != nil {
		return 0, fmt.Errorf("natsbus: replay %s: %w", subscription, unavailable(err))
	}
	defer messages.Stop()
	for range info.NumPending {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return n, fmt.Errorf("natsbus: replay %s: %w", subscription, unavailable(err))
		}
		if _, err := b.js.Publish(ctx, subjectRedrive+subscription, msg.Data()); err != nil {
			return n, fmt.Errorf("natsbus: replay %s: %w", subscription, unavailable(err))
		}
		n++
	}
	return n, nil
}

// depths asks the streams, so the numbers hold for all replicas together. NATS does not tell ages.
func (b *Bus) depths(ctx context.Context) ([]bus.Depth, error) {
	b.mutex.Lock()
	lanes := make([]*lane, 0, len(b.lanes))
	for _, l := range b.lanes {
		lanes = append(lanes, l)
	}
	b.mutex.Unlock()
	if len(lanes) == 0 {
		return nil, nil
	}
	dead, err := b.dead.Info(ctx, jetstream.WithSubjectFilter(subjectDead+">"))
	if err != nil {
		return nil, err
	}
	all := make([]bus.Depth, 0, len(lanes))
	for _, l := range lanes {
		info, err := b.events.Consumer(ctx, l.consumer.CachedInfo().Name)
		if err != nil {
			return nil, err
		}
		state := info.CachedInfo()
		all = append(all, bus.Depth{
			Subscription: l.subscription.Name, Waiting: float64(state.NumPending) + float64(state.NumAckPending),
			Dead: float64(dead.State.Subjects[subjectDead+l.subscription.Name]), OldestSeconds: -1,
		})
	}
	return all, nil
}
