package v1alpha1

// Hub says that this version is the one that is stored, to and from which every
// other one converts.
func (*CommerceStack) Hub() {}
