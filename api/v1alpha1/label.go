package v1alpha1

// The labels by which everything of a stack is found.
const (
	// LabelName has the value AppName.
	LabelName = "app.kubernetes.io/name"
	// LabelInstance has the name of the stack.
	LabelInstance = "app.kubernetes.io/instance"
	// LabelComponent has the name of the component or server.
	LabelComponent = "app.kubernetes.io/component"
	// LabelRole of a pod is RoleAPI or RoleWorker.
	LabelRole = Group + "/role"

	// LabelTrack of canaries, which stand beside a component's own objects and pods, is TrackCanary.
	LabelTrack = Group + "/track"

	// AppName is the value of LabelName.
	AppName = "commercestack"
	// RoleAPI is the role of pods that serve.
	RoleAPI = "api"
	// RoleWorker is the role of pods that work on queues.
	RoleWorker = "worker"
	// TrackCanary is the track of canaries.
	TrackCanary = "canary"
)
