package v1alpha1_test

import (
	"errors"
	"testing"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

func TestRequestsSurviveTheirAnnotation(t *testing.T) {
	t.Parallel()
	for _, want := range []v1alpha1.RolloutRequest{
		{Verb: v1alpha1.RolloutPause, Revision: "5f1c", ID: "a1"},
		{Verb: v1alpha1.RolloutUndo, ID: "b=2"},
	} {
		if got, err := v1alpha1.ParseRolloutRequest(want.String()); err != nil || got != want {
			t.Errorf("%q is read as %+v, %v", want, got, err)
		}
	}
	want := v1alpha1.RotationRequest{Secret: "postgres-order", ID: "a1"}
	if got, err := v1alpha1.ParseRotationRequest(want.String()); err != nil || got != want {
		t.Errorf("%q is read as %+v, %v", want, got, err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "pause", "pause:r", "pause:r=", "pause=1", "explode:r=1"} {
		if _, err := v1alpha1.ParseRolloutRequest(value); !errors.Is(err, v1alpha1.ErrBadRequest) {
			t.Errorf("rollout request %q gives %v", value, err)
		}
	}
	for _, value := range []string{"", "ca", "=1", "ca="} {
		if _, err := v1alpha1.ParseRotationRequest(value); !errors.Is(err, v1alpha1.ErrBadRequest) {
			t.Errorf("rotation request %q gives %v", value, err)
		}
	}
}
