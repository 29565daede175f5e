package releaseapproval

// What the operator may do with approvals: people make them, and it removes them.
//
// +kubebuilder:rbac:groups=commercestack.dev,resources=releaseapprovals,verbs=get;list;watch;delete
