package v1alpha1

import (
	"errors"
	"fmt"
	"strings"
)

// The annotations of a CommerceStack by which a person asks for something once.
// Each value names what it is about and an id of the request, so that a request
// is carried out once however often it is read, and asking again is a new id.
const (
	// AnnotationApprove holds the revision that a person agreed to. Another change
	// makes another revision, which needs its own.
	AnnotationApprove = Group + "/approve"
	// AnnotationRotate asks for the rotation of one secret: <secret>=<request id>.
	AnnotationRotate = Group + "/rotate"
	// AnnotationRollout steers a rollout: <verb>:<revision>=<request id>.
	AnnotationRollout = Group + "/rollout"
	// AnnotationRequestedBy is who changed the spec last. An admission policy
	// holds it to the user that the API server authenticated.
	AnnotationRequestedBy = Group + "/requested-by"
)

// WhoAmI is the command that prints the name by which the API server knows a user.
const WhoAmI = "kubectl auth whoami -o jsonpath='{.status.userInfo.username}'"

// RolloutVerb is what a person asks a rollout to do.
type RolloutVerb string

// The verbs of AnnotationRollout.
const (
	// RolloutPause stops before the next step and keeps what runs.
	RolloutPause RolloutVerb = "pause"
	// RolloutResume goes on.
	RolloutResume RolloutVerb = "resume"
	// RolloutAbort goes back to the revision that served before.
	RolloutAbort RolloutVerb = "abort"
	// RolloutPromote skips the steps that are left.
	RolloutPromote RolloutVerb = "promote"
	// RolloutUndo leaves a complete rollout for an older revision.
	RolloutUndo RolloutVerb = "undo"
)

// ErrBadRequest is an annotation that cannot be read.
var ErrBadRequest = errors.New("request annotation cannot be read")

// RotationRequest asks for the rotation of one secret.
type RotationRequest struct {
	// Secret as in status.secrets.
	Secret string
	// ID of the request.
	ID string
}

// String is the value of AnnotationRotate.
func (r RotationRequest) String() string { return r.Secret + "=" + r.ID }

// ParseRotationRequest reads the value of AnnotationRotate.
func ParseRotationRequest(value string) (RotationRequest, error) {
	secret, id, _ := strings.Cut(value, "=")
	if secret == "" || id == "" {
		return RotationRequest{}, fmt.Errorf("%w: %s is %q, want <secret>=<request id>", ErrBadRequest, AnnotationRotate, value)
	}
	return RotationRequest{Secret: secret, ID: id}, nil
}

// RolloutRequest steers a rollout.
type RolloutRequest struct {
	// Verb says what to do.
	Verb RolloutVerb
	// Revision that the request is about: the one that is rolled out, or the one to return to for undo
	// (empty is the one before). A request about another revision is void.
	Revision string
	// ID of the request.
	ID string
}

// String is the value of AnnotationRollout.
func (r RolloutRequest) String() string {
	return string(r.Verb) + ":" + r.Revision + "=" + r.ID
}

// ParseRolloutRequest reads the value of AnnotationRollout.
func ParseRolloutRequest(value string) (RolloutRequest, error) {
	what, id, _ := strings.Cut(value, "=")
	verb, revision, found := strings.Cut(what, ":")
	r := RolloutRequest{Verb: RolloutVerb(verb), Revision: revision, ID: id}
	if !found || id == "" {
		return RolloutRequest{}, fmt.Errorf("%w: %s is %q, want <verb>:<revision>=<request id>", ErrBadRequest, AnnotationRollout, value)
	}
	switch r.Verb {
	case RolloutPause, RolloutResume, RolloutAbort, RolloutPromote, RolloutUndo:
		return r, nil
	default:
		return RolloutRequest{}, fmt.Errorf("%w: %s has the unknown verb %q", ErrBadRequest, AnnotationRollout, verb)
	}
}
