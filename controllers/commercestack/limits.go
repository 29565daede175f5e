package commercestack

import "github.com/commercestack/commercestack/api/v1alpha1"

// limit is a value of the spec that this version of the operator does not carry out.
type limit struct {
	field string
	asks  func(*v1alpha1.CommerceStackSpec) bool
	help  string
}

// limits is the one place that knows what is not built in. A stack that asks for
// it is refused with a sentence, instead of being run as if it had not asked.
var limits = []limit{
	{
		"secrets.source",
		func(s *v1alpha1.CommerceStackSpec) bool { return s.Secrets.Source == "ExternalSecret" },
		"ExternalSecret is not supported by this version of the operator: use Generated",
	},
}
