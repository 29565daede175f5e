package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// localPort is the port of this machine that open proposes.
const localPort = 8443

func newOpen(o options) *cobra.Command {
	return &cobra.Command{
		Use: "open [NAME]", Short: "Tell how to reach a shop and where its administrator's login is", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.connect()
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			stack, err := c.stack(cmd.Context(), name)
			if err != nil {
				return err
			}
			return o.open(cmd.Context(), c, stack)
		},
	}
}

// open prints commands rather than running them: the login never passes through the plugin.
func (o options) open(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) error {
	var service corev1.Service
	if err := c.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: stack.Name + "-gateway"}, &service); err != nil {
		return fmt.Errorf("the gateway of %s: %w", stack.Name, err)
	}
	port, scheme := publicPort(service)
	out := o.streams.Out
	switch {
	case stack.Status.URL != "":
		fmt.Fprintf(out, "Shop:        %s\nDashboard:   %s/admin\n\n", stack.Status.URL, stack.Status.URL)
	default:
		fmt.Fprintf(out, "Shop:        no address yet\n\n")
	}
	fmt.Fprintf(out, "From here:   kubectl port-forward -n %s service/%s %d:%d\n", stack.Namespace, service.Name, localPort, port)
	fmt.Fprintf(out, "             then open %s://localhost:%d\n", scheme, localPort)
	if scheme == "https" && stack.Spec.Gateway.TLS.Mode == v1alpha1.GatewayTLSInternal {
		fmt.Fprintf(out, "             (its certificate is of the stack's own authority: key ca.crt of Secret %s-gateway-tls)\n", stack.Name)
	}
	login := stack.Name + "-admin-login"
	fmt.Fprintf(out, "\nAdmin login: Secret %s\n", login)
	for _, key := range []string{"username", "password"} {
		fmt.Fprintf(out, "             kubectl get secret -n %s %s -o jsonpath='{.data.%s}' | base64 -d; echo\n", stack.Namespace, login, key)
	}
	return nil
}

// publicPort is the gateway's public port and what it speaks.
func publicPort(service corev1.Service) (port int32, scheme string) {
	port, scheme = 80, "http"
	for _, p := range service.Spec.Ports {
		if p.Port == 443 {
			return p.Port, "https"
		}
		if p.Port != 9090 {
			port = p.Port
		}
	}
	return port, scheme
}
