package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/internal/kubetest"
)

const (
	// quietFor is how long the operator must not have visited anything to be at rest.
	quietFor = 3 * time.Second
	patience = 30 * time.Minute
)

// bench is an API server, the operator, and what plays the cluster's controllers.
type bench struct {
	options  options
	client   client.WithWatch
	operator *process
	cluster  *kubetest.Cluster
	folder   string
	played   sync.WaitGroup
	end      context.CancelFunc
}

func start(ctx context.Context, o options) (b *bench, err error) {
	b = &bench{options: o, operator: &process{concurrency: o.workers, log: o.log}, end: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	if b.folder, err = os.MkdirTemp("", "commerce-bench-"); err != nil {
		return b, err
	}
	if err := b.operator.build(ctx, b.folder); err != nil {
		return b, err
	}
	if b.cluster, err = kubetest.Start("config/crd"); err != nil {
		return b, err
	}
	user, err := b.cluster.Environment.AddUser(envtest.User{Name: "operator", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return b, fmt.Errorf("make a user for the operator: %w", err)
	}
	content, err := user.KubeConfig()
	if err != nil {
		return b, err
	}
	b.operator.kubeconfig = filepath.Join(b.folder, "kubeconfig")
	if err := os.WriteFile(b.operator.kubeconfig, content, 0o600); err != nil {
		return b, err
	}
	scheme, err := controllers.Scheme()
	if err != nil {
		return b, err
	}
	if b.client, err = client.NewWithWatch(b.cluster.Config, client.Options{Scheme: scheme}); err != nil {
		return b, err
	}
	playing, end := context.WithCancel(ctx)
	b.end = end
	b.play(playing)
	return b, b.operator.start(ctx)
}

// stop ends everything in the order in which nothing complains.
func (b *bench) stop() error {
	err := b.operator.stop()
	b.end()
	b.played.Wait()
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Stop())
	}
	return errors.Join(err, os.RemoveAll(b.folder))
}

// play tells Deployments, StatefulSets and Jobs to be done as soon as they are there.
func (b *bench) play(ctx context.Context) {
	follow(ctx, b, &appsv1.DeploymentList{}, func(d *appsv1.Deployment) bool {
		before := d.Status.DeepCopy()
		kubetest.MakeAvailable(d)
		return !equality.Semantic.DeepEqual(*before, d.Status)
	})
	follow(ctx, b, &appsv1.StatefulSetList{}, func(s *appsv1.StatefulSet) bool {
		before := s.Status.DeepCopy()
		kubetest.MakeReady(s)
		return !equality.Semantic.DeepEqual(*before, s.Status)
	})
	follow(ctx, b, &batchv1.JobList{}, func(j *batchv1.Job) bool {
		if len(j.Status.Conditions) > 0 {
			return false
		}
		kubetest.EndJob(j, batchv1.JobComplete)
		return true
	})
}

// follow stores the status of every object of a kind that done changes. A write
// that comes too late is made again for the newer version, which is seen too.
func follow[T client.Object](ctx context.Context, b *bench, list client.ObjectList, done func(T) bool) {
	b.played.Go(func() {
		for ctx.Err() == nil {
			watch, err := b.client.Watch(ctx, list)
			if err != nil {
				continue
			}
			for event := range watch.ResultChan() {
				if object, ok := event.Object.(T); ok && object.GetDeletionTimestamp() == nil && done(object) {
					_ = b.client.Status().Update(ctx, object)
				}
			}
		}
	})
}

func (b *bench) namespace(i int) string { return fmt.Sprintf("shop-%03d", i) }

// createStacks makes a namespace with one stack each.
func (b *bench) createStacks(ctx context.Context) error {
	for i := range b.options.stacks {
		if err := b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace(i)}}); err != nil {
			return err
		}
		stack := &v1alpha1.CommerceStack{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace(i), Name: "shop"},
			Spec:       v1alpha1.CommerceStackSpec{Version: "1.0.0", Environment: v1alpha1.EnvironmentDevelopment},
		}
		if err := b.client.Create(ctx, stack); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) stacks(ctx context.Context) ([]v1alpha1.CommerceStack, error) {
	list := &v1alpha1.CommerceStackList{}
	err := b.client.List(ctx, list)
	return list.Items, err
}

func (b *bench) ready(ctx context.Context) (bool, error) {
	stacks, err := b.stacks(ctx)
	for i := range stacks {
		conditions := stacks[i].Status.Conditions
		if !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) || meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling) {
			return false, err
		}
	}
	return len(stacks) == b.options.stacks, err
}

// touch wakes the operator without giving it anything to do.
func (b *bench) touch(ctx context.Context) error {
	return b.patch(ctx, func(s *v1alpha1.CommerceStack) { s.Annotations = map[string]string{"example.com/touched": "true"} })
}

// change asks for two pods of the storefront.
func (b *bench) change(ctx context.Context) error {
	return b.patch(ctx, func(s *v1alpha1.CommerceStack) {
		s.Spec.Services = []v1alpha1.ServiceSpec{{
			Name: v1alpha1.ComponentStorefront, Autoscaling: &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingOff}, Replicas: ptr.To[int32](2),
		}}
	})
}

func (b *bench) patch(ctx context.Context, change func(*v1alpha1.CommerceStack)) error {
	stacks, err := b.stacks(ctx)
	if err != nil {
		return err
	}
	for i := range stacks {
		changed := stacks[i].DeepCopy()
		change(changed)
		if err := b.client.Patch(ctx, changed, client.MergeFrom(&stacks[i])); err != nil {
			return err
		}
	}
	return nil
}

// changed says whether every storefront has the pods asked for.
func (b *bench) changed(ctx context.Context) (bool, error) {
	stacks, err := b.stacks(ctx)
	for i := range stacks {
		if stacks[i].Status.ObservedGeneration != stacks[i].Generation {
			return false, err
		}
	}
	return true, err
}

// settle waits for something.
func (b *bench) settle(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		ok, err := done(ctx)
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("in vain: %s", what)
}

// quiet waits until the operator visits nothing any more.
func (b *bench) quiet(ctx context.Context) error {
	last, since := -1.0, time.Now()
	return b.settle(ctx, "rest", func(ctx context.Context) (bool, error) {
		now, err := b.operator.figures(ctx)
		if err != nil {
			return false, err
		}
		if now.visits.count != last {
			last, since = now.visits.count, time.Now()
		}
		return time.Since(since) >= quietFor, nil
	})
}

// objects counts what the operator made.
func (b *bench) objects(ctx context.Context) int {
	count := 0
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.ControllerRevisionList{}, &batchv1.JobList{}, &corev1.SecretList{}, &corev1.ServiceList{},
		&corev1.ServiceAccountList{}, &corev1.ConfigMapList{}, &corev1.PersistentVolumeClaimList{}, &policyv1.PodDisruptionBudgetList{}, &networkingv1.NetworkPolicyList{},
	} {
		if b.client.List(ctx, list, client.MatchingLabels{"app.kubernetes.io/managed-by": controllers.Name}) == nil {
			items, _ := meta.ExtractList(list)
			count += len(items)
		}
	}
	return count
}
