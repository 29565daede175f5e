package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Namespaces of the check; made anew and removed afterwards.
const (
	checkNamespace = "cluster-check"
	otherNamespace = "cluster-check-other"
)

// kubectlFunc runs kubectl with standard input and returns its output.
type kubectlFunc func(ctx context.Context, input string, args ...string) (string, error)

// checker proves on the running cluster what tests rely on.
type checker struct {
	kubectl  kubectlFunc
	progress *progress
}

// proof is one thing that must hold within its time.
type proof struct {
	name   string
	within time.Duration
	holds  func(context.Context) error
}

func (c *cluster) check(ctx context.Context) error {
	return runChecks(ctx, c.progress, c.kubectl, newValues(c.layout))
}

func runChecks(ctx context.Context, progress *progress, kubectl kubectlFunc, data values) (err error) {
	k := &checker{kubectl: kubectl, progress: progress}
	remove := func() error {
		_, err := kubectl(context.WithoutCancel(ctx), "", "delete", "namespace", checkNamespace, otherNamespace, "--ignore-not-found", "--timeout=120s")
		return err
	}
	if err := remove(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := k.apply(ctx, "manifests/check.yaml", data); err != nil {
		return err
	}
	for _, namespace := range []string{checkNamespace, otherNamespace} {
		if _, err := kubectl(ctx, "", "wait", "pod", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=120s"); err != nil {
			return fmt.Errorf("the check's pods do not start: %w", err)
		}
	}
	progress.line("ok  pods start")
	const name = "server." + checkNamespace
	if err := k.prove(ctx, []proof{
		{"a service is found by its name and answers", 10 * time.Second, k.connects(checkNamespace, "client", name+".svc.cluster.local")},
		{"the short name of a service resolves", 10 * time.Second, k.exec("client", "lookup", "server")},
		{"a pod without root writes to its volume", 10 * time.Second, k.exec("client", "write", "/data/file")},
		{"a pod's log is read", 10 * time.Second, k.logs},
		{"without a policy another pod connects", 10 * time.Second, k.connects(checkNamespace, "stranger", name)},
		{"without a policy another namespace connects", 10 * time.Second, k.connects(otherNamespace, "outsider", name)},
		{"without a policy a pod connects to another", 10 * time.Second, k.connects(checkNamespace, "client", "stranger")},
	}); err != nil {
		return err
	}
	if err := k.apply(ctx, "manifests/check-policy.yaml", data); err != nil {
		return err
	}
	if err := k.prove(ctx, []proof{
		{"a policy keeps another pod out", 30 * time.Second, k.isDenied(checkNamespace, "stranger", name)},
		{"a policy keeps another namespace out", 30 * time.Second, k.isDenied(otherNamespace, "outsider", name)},
		{"a policy keeps a pod from going elsewhere", 30 * time.Second, k.isDenied(checkNamespace, "client", "stranger")},
		{"a policy lets the allowed pod in", 10 * time.Second, k.connects(checkNamespace, "client", name)},
		{"a policy lets DNS through", 10 * time.Second, k.exec("client", "lookup", "server")},
		{"metrics of pods are there", 90 * time.Second, k.metrics},
		{"an autoscaler sees load and scales", 150 * time.Second, k.autoscaler},
		{"a volume goes with its claim", 60 * time.Second, k.reclaim},
	}); err != nil {
		return err
	}
	progress.line("every check passed")
	return nil
}

func (k *checker) apply(ctx context.Context, name string, data values) error {
	text, err := render(name, data)
	if err != nil {
		return err
	}
	_, err = k.kubectl(ctx, text, "apply", "-f", "-")
	return err
}

// prove goes through the proofs in order and stops at the first that fails.
func (k *checker) prove(ctx context.Context, proofs []proof) error {
	for _, p := range proofs {
		deadline := time.Now().Add(p.within)
		for {
			err := p.holds(ctx)
			if err == nil {
				k.progress.line("ok  %s", p.name)
				break
			}
			if ctx.Err() != nil || time.Now().After(deadline) {
				return fmt.Errorf("%s: not after %s: %w", p.name, p.within, err)
			}
			time.Sleep(time.Second)
		}
	}
	return nil
}

func (k *checker) exec(pod, verb, argument string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := k.kubectl(ctx, "", "exec", "-n", checkNamespace, pod, "--", "/probe", verb, argument)
		return err
	}
}

// connects holds when the pod gets an answer from the address.
func (k *checker) connects(namespace, pod, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := k.kubectl(ctx, "", "exec", "-n", namespace, pod, "--", "/probe", "dial", address)
		return err
	}
}

// isDenied holds when the pod gets no answer because packets are dropped: a
// refusal, an unknown name or a failing kubectl are other failures.
func (k *checker) isDenied(namespace, pod, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		err := k.connects(namespace, pod, address)(ctx)
		switch {
		case err == nil:
			return errors.New("the connection is answered")
		case strings.Contains(err.Error(), "deadline exceeded") || strings.Contains(err.Error(), "i/o timeout"):
			return nil
		default:
			return fmt.Errorf("fails otherwise than by a drop: %w", err)
		}
	}
}

func (k *checker) logs(ctx context.Context) error {
	out, err := k.kubectl(ctx, "", "logs", "-n", checkNamespace, "client")
	if err == nil && !strings.Contains(out, "serving") {
		err = fmt.Errorf("the log is %q", out)
	}
	return err
}

func (k *checker) metrics(ctx context.Context) error {
	_, err := k.kubectl(ctx, "", "top", "pods", "-n", checkNamespace)
	return err
}

// autoscaler puts load on the service at each try until a second replica is there.
func (k *checker) autoscaler(ctx context.Context) error {
	for range 5 {
		if err := k.connects(checkNamespace, "client", "server/burn")(ctx); err != nil {
			return err
		}
	}
	out, err := k.kubectl(ctx, "", "get", "deployment", "server", "-n", checkNamespace, "-o", "jsonpath={.spec.replicas}")
	if err == nil && out == "1" {
		err = errors.New("the deployment still has one replica")
	}
	return err
}

// reclaim removes pod and claim and looks whether the volume follows.
func (k *checker) reclaim(ctx context.Context) error {
	if _, err := k.kubectl(ctx, "", "delete", "-n", checkNamespace, "pod/client", "pvc/data", "--ignore-not-found", "--grace-period=1"); err != nil {
		return err
	}
	out, err := k.kubectl(ctx, "", "get", "pv", "-o", `jsonpath={.items[?(@.spec.claimRef.namespace=="`+checkNamespace+`")].metadata.name}`)
	if err == nil && strings.TrimSpace(out) != "" {
		err = fmt.Errorf("%s is still there", out)
	}
	return err
}
