package firewall

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// settle is how long changes are gathered before the rules are made anew.
const settle = 50 * time.Millisecond

// Run keeps the rules up to date until the context ends. The rules stay when it
// ends: a crash opens nothing.
func Run(ctx context.Context, factory informers.SharedInformerFactory, log *slog.Logger) error {
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: notify, UpdateFunc: func(_, object any) { notify(object) }, DeleteFunc: notify}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch for changes: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	applied := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(5 * time.Second): // after a failure, and as a safeguard
		}
		time.Sleep(settle)
		var state State
		var err error
		if state.Pods, err = pods.Lister().List(labels.Everything()); err != nil {
			return fmt.Errorf("list pods: %w", err)
		}
		if state.Namespaces, err = namespaces.Lister().List(labels.Everything()); err != nil {
			return fmt.Errorf("list namespaces: %w", err)
		}
		if state.Policies, err = policies.Lister().List(labels.Everything()); err != nil {
			return fmt.Errorf("list policies: %w", err)
		}
		rules, err := Ruleset(state)
		if err != nil || rules == applied {
			logFailure(ctx, log, err)
			continue
		}
		if err := Apply(ctx, rules); err != nil {
			logFailure(ctx, log, err)
			continue
		}
		applied = rules
		log.InfoContext(ctx, "network policies are enforced", "policies", len(state.Policies), "pods", len(state.Pods))
	}
}

func logFailure(ctx context.Context, log *slog.Logger, err error) {
	if err != nil {
		log.ErrorContext(ctx, "cannot enforce network policies; the former rules stay", "error", err)
	}
}

// Apply loads a ruleset in one transaction.
func Apply(ctx context.Context, rules string) error {
	command := exec.CommandContext(ctx, "nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft refuses the rules (hack/debian.sh cluster installs it): %w: %s", err, out)
	}
	return nil
}
