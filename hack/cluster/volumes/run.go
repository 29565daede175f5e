package volumes

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Run acts on every change of a claim or a volume, and looks at all of them again
// after a failure, until the context ends.
func (c *Controller) Run(ctx context.Context, factory informers.SharedInformerFactory) error {
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	changed := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: notify, UpdateFunc: func(_, object any) { notify(object) }}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	retry := time.NewTicker(5 * time.Second)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry.C:
		}
		known, err := claims.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		made, err := volumes.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		c.sync(ctx, known, made)
	}
}

// sync logs failures only: the next change or tick tries again.
func (c *Controller) sync(ctx context.Context, claims []*corev1.PersistentVolumeClaim, volumes []*corev1.PersistentVolume) {
	for _, claim := range claims {
		if err := c.Provision(ctx, claim); err != nil {
			c.Log.ErrorContext(ctx, "cannot make a volume", "error", err)
		}
	}
	for _, volume := range volumes {
		if err := c.Reclaim(ctx, volume); err != nil {
			c.Log.ErrorContext(ctx, "cannot remove a volume", "error", err)
		}
	}
}
