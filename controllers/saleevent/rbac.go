package saleevent

// What the operator may do with events: their spec is a person's.
//
// +kubebuilder:rbac:groups=commercestack.dev,resources=saleevents,verbs=get;list;watch
// +kubebuilder:rbac:groups=commercestack.dev,resources=saleevents/status,verbs=get;patch;update
