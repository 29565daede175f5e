package controllers

import (
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/commercestack/commercestack/controllers/commercestack"
	"github.com/commercestack/commercestack/controllers/measure"
	"github.com/commercestack/commercestack/controllers/releaseapproval"
	"github.com/commercestack/commercestack/controllers/saleevent"
)

// Register adds every controller to the manager.
func Register(mgr ctrl.Manager, config Config, references cache.Cache) error {
	measurer, err := measure.New(measure.Config{Prometheus: config.PrometheusURL, Clock: clock.RealClock{}})
	if err != nil {
		return fmt.Errorf("measuring canaries: %w", err)
	}
	stacks, err := commercestack.New(commercestack.Config{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Mapper: mgr.GetRESTMapper(),
		Recorder: mgr.GetEventRecorder(Name), Clock: clock.RealClock{}, Images: config.Images, ClusterDomain: config.ClusterDomain,
		Rotation: config.Rotation, Measurer: measurer, Namespace: config.Namespace,
		PrometheusURL: config.PrometheusURL,
	})
	if err != nil {
		return fmt.Errorf("controller of CommerceStack: %w", err)
	}
	if err := stacks.SetupWithManager(mgr, commercestack.Options{Concurrency: config.Concurrency, References: references}); err != nil {
		return err
	}
	sales := &saleevent.Reconciler{Client: mgr.GetClient(), Clock: clock.RealClock{}}
	if err := sales.SetupWithManager(mgr); err != nil {
		return err
	}
	approvals := &releaseapproval.Reconciler{Client: mgr.GetClient(), Clock: clock.RealClock{}}
	return approvals.SetupWithManager(mgr)
}
