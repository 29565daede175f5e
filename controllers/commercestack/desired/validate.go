package desired

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Validate finds what a person must correct in the spec, beyond what the schema
// refuses by itself. Each error says where and what to do.
func Validate(in Input) field.ErrorList {
	var all field.ErrorList
	for _, message := range validation.IsDNS1035Label(in.Stack.Name) {
		all = append(all, field.Invalid(field.NewPath("metadata", "name"), in.Stack.Name, "names of Services are made from it: "+message))
	}
	if in.RenderRevision < 1 || in.RenderRevision > CurrentRenderRevision {
		all = append(all, field.Invalid(field.NewPath("spec", "renderRevision"), in.RenderRevision,
			fmt.Sprintf("this operator knows the revisions 1 to %d", CurrentRenderRevision)))
	}
	all = append(all, validatePostgres(in)...)
	all = append(all, validateOutside(in)...)
	all = append(all, validateBackup(in)...)
	for i := range in.Stack.Spec.Services {
		all = append(all, validateService(in, in.Stack.Spec.Services[i], field.NewPath("spec", "services").Index(i))...)
	}
	for _, name := range Components() {
		if _, err := ForComponent(in, name); err != nil {
			var invalid *field.Error
			if !errors.As(err, &invalid) {
				invalid = field.InternalError(field.NewPath("spec", "services"), err)
			}
			all = append(all, invalid)
		}
	}
	return append(all, ValidateScale(in)...)
}

// ValidateScale finds components whose pods need more connections than there are.
func ValidateScale(in Input) field.ErrorList {
	var all field.ErrorList
	for _, name := range DataComponents() {
		if _, fits := pool(in, name); !fits {
			all = append(all, field.Invalid(field.NewPath("spec", "postgres", "parameters").Key("max_connections"), maxConnections(in),
				fmt.Sprintf("the pods of %s need more connections than its share: raise it, or lower maxReplicas", name)))
		}
	}
	return append(all, validateSteps(in)...)
}

// validateSteps finds the steps of a canary whose pods would take connections
// from others.
func validateSteps(in Input) field.ErrorList {
	var all field.ErrorList
	if in.Stack.Spec.Rollout.Strategy != v1alpha1.RolloutCanary {
		return nil
	}
	for i, step := range in.Stack.Spec.Rollout.Steps {
		for _, name := range DataComponents() {
			if _, fits := pool(in, name); fits && !canaryFits(in, name, step) {
				all = append(all, field.Invalid(field.NewPath("spec", "rollout", "steps").Index(i), canaryOf(step),
					fmt.Sprintf("beside the pods of %s, its canary needs more connections than its share of %d: raise postgres.parameters.max_connections, "+
						"or lower maxReplicas or the step", name, maxConnections(in))))
				break
			}
		}
	}
	return all
}

// canaryOf is a step as people write it.
func canaryOf(step v1alpha1.RolloutStep) string {
	if step.Pods != nil {
		return fmt.Sprintf("pods: %d", *step.Pods)
	}
	return fmt.Sprintf("weight: %d", ptr.Deref(step.Weight, 0))
}

func validateService(in Input, spec v1alpha1.ServiceSpec, path *field.Path) field.ErrorList {
	var all field.ErrorList
	if spec.Workers != nil && spec.Workers.Mode != v1alpha1.WorkersShared && !HasData(spec.Name) {
		all = append(all, field.Forbidden(path.Child("workers"), fmt.Sprintf("%s has no queues to work on", spec.Name)))
	}
	for i, env := range spec.Env {
		if slices.Contains(ownNames(in, spec.Name), env.Name) {
			all = append(all, field.Forbidden(path.Child("env").Index(i).Child("name"), env.Name+" is set by the operator"))
		}
	}
	return all
}

// ownNames are the variables that the operator itself decides for a component,
// in whatever role and environment. What it gives as a file cannot be given as a
// value besides.
func ownNames(in Input, name v1alpha1.ComponentName) []string {
	var names []string
	for _, role := range []string{RoleAPI, RoleWorker} {
		for _, one := range componentSettings(in, name, role, platformNeeds(nil)) {
			if !one.free {
				names = append(names, one.name, strings.TrimSuffix(one.name, "_FILE"))
			}
		}
	}
	return append(names, "COMMERCE_DEVELOPMENT", "COMMERCE_INTERNAL_LISTEN", "COMMERCE_URLS", "COMMERCE_DATABASE_URL", "COMMERCE_NATS_URL")
}

func validatePostgres(in Input) field.ErrorList {
	path := field.NewPath("spec", "postgres")
	var all field.ErrorList
	if in.PostgresMode == v1alpha1.DataManaged && !in.Capabilities.CloudNativePG {
		all = append(all, field.Invalid(path.Child("mode"), in.PostgresMode, "CloudNativePG is not in the cluster: install it, or choose StatefulSet or External"))
	}
	if Recovered(in) && RestoreStore(&in.Stack.Spec) == nil {
		all = append(all, field.Required(field.NewPath("spec", "restore", "from", "destination"), "CloudNativePG keeps the log of changes in a bucket: name it"))
	}
	parameters := in.Stack.Spec.Postgres.Parameters
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		switch at := path.Child("parameters").Key(name); {
		case !parameterName.MatchString(name):
			all = append(all, field.Invalid(at, name, "not the name of a parameter"))
		case reserved(name):
			all = append(all, field.Forbidden(at, "set by the operator"))
		case strings.ContainsAny(parameters[name], "\x00\r\n"):
			all = append(all, field.Invalid(at, parameters[name], "must be one line"))
		case name == "max_connections":
			if number, err := strconv.ParseInt(parameters[name], 10, 32); err != nil || number <= reservedConnections {
				all = append(all, field.Invalid(at, parameters[name], fmt.Sprintf("must be a number greater than %d", reservedConnections)))
			}
		}
	}
	return all
}

// validateOutside checks what leads out of the stack.
func validateOutside(in Input) field.ErrorList {
	var all field.ErrorList
	gateway, path := in.Stack.Spec.Gateway, field.NewPath("spec", "gateway")
	if gateway.Expose == v1alpha1.ExposeHTTPRoute && !in.Capabilities.HTTPRoute {
		all = append(all, field.Invalid(path.Child("expose"), gateway.Expose, "the Gateway API is not in the cluster: install it, or choose another way"))
	}
	if gateway.TLS.Mode == v1alpha1.GatewayTLSCertManager {
		if !in.Capabilities.CertManager {
			all = append(all, field.Invalid(path.Child("tls", "mode"), gateway.TLS.Mode, "cert-manager is not in the cluster: install it, or choose another mode"))
		}
		if gateway.Host == "" {
			all = append(all, field.Required(path.Child("host"), "a certificate needs the name it is for"))
		}
	}
	if smtp := integrations(in).SMTP; smtp != nil {
		if _, port, err := net.SplitHostPort(smtp.Address); err != nil || portOf(smtp.Address, 0) == 0 || port == "" {
			at := field.NewPath("spec", "integrations", "smtp", "address")
			all = append(all, field.Invalid(at, smtp.Address, "must be host:port, such as mail.example.com:587"))
		}
	}
	return all
}
