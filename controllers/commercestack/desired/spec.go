package desired

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/topology"
)

// Ports of pods.
const (
	PortRPC      int32 = 8080
	PortMetrics  int32 = 9090
	PortPostgres int32 = 5432
	PortRedis    int32 = 6379

	portNATS  int32 = 4222
	portOTLP  int32 = 4318
	portHTTP  int32 = 80
	portHTTPS int32 = 443
	portDNS   int32 = 53
)

// Database is the name of the database, which all components share.
const Database = "commerce"

// DataPart names the objects around the uploads.
const DataPart = "objects"

// simulatorPath is where the simulator answers.
const simulatorPath = "/dev/stripe"

// service returns what the spec says about a component, and its index in the spec, -1 without.
func service(in Input, name v1alpha1.ComponentName) (v1alpha1.ServiceSpec, int) {
	for i := range in.Stack.Spec.Services {
		if in.Stack.Spec.Services[i].Name == name {
			return in.Stack.Spec.Services[i], i
		}
	}
	return v1alpha1.ServiceSpec{Name: name}, -1
}

// HasData holds for components with tables, which have queues too.
func HasData(name v1alpha1.ComponentName) bool { return topology.Find(string(name)).Data }

// DataComponents are the components with tables, in the order of the API.
func DataComponents() []v1alpha1.ComponentName {
	var names []v1alpha1.ComponentName
	for _, name := range Components() {
		if HasData(name) {
			names = append(names, name)
		}
	}
	return names
}

func development(in Input) bool {
	return in.Stack.Spec.Environment == v1alpha1.EnvironmentDevelopment
}

func production(in Input) bool {
	env := in.Stack.Spec.Environment
	return env == v1alpha1.EnvironmentProduction || env == ""
}

// Simulated holds where payments go to the Stripe simulator.
func Simulated(in Input) bool {
	return development(in) && (in.Stack.Spec.Integrations == nil || in.Stack.Spec.Integrations.Stripe == nil)
}

func integrations(in Input) v1alpha1.IntegrationsSpec {
	if in.Stack.Spec.Integrations == nil {
		return v1alpha1.IntegrationsSpec{}
	}
	return *in.Stack.Spec.Integrations
}

// PlatformImage is the image that a component runs. Without a component, it is
// the image of the stack's Jobs.
func PlatformImage(in Input, name v1alpha1.ComponentName) string {
	if spec, _ := service(in, name); spec.Image != "" {
		return spec.Image
	}
	repository := in.Stack.Spec.Image
	if repository == "" {
		repository = in.Images.Platform
	}
	return repository + ":" + in.Stack.Spec.Version
}

// Wave in which a rollout reaches a component.
func Wave(in Input, name v1alpha1.ComponentName) int32 {
	spec, _ := service(in, name)
	switch {
	case spec.Wave != nil:
		return *spec.Wave
	case HasData(name):
		return 0
	case name == v1alpha1.ComponentGateway:
		return 2
	default:
		return 1
	}
}

// gatewayTLS holds when the public listener itself speaks TLS.
func gatewayTLS(in Input) bool { return in.Stack.Spec.Gateway.TLS.Mode != v1alpha1.GatewayTLSOff }

// gatewayPort is the public port of the gateway's Service.
func gatewayPort(in Input) (name string, port int32) {
	if gatewayTLS(in) {
		return "https", portHTTPS
	}
	return "http", portHTTP
}

// GatewayAddress is how the shop is reached inside the cluster.
func GatewayAddress(in Input) string {
	scheme, _ := gatewayPort(in)
	return scheme + "://" + ComponentName(in.Stack.Name, v1alpha1.ComponentGateway)
}

// PublicURL is the shop's address as customers see it.
func PublicURL(in Input) string {
	gateway := in.Stack.Spec.Gateway
	scheme, _ := gatewayPort(in)
	switch {
	case gateway.PublicURL != "":
		return gateway.PublicURL
	case gateway.Host != "" && (gateway.Expose == v1alpha1.ExposeIngress || gateway.Expose == v1alpha1.ExposeHTTPRoute):
		return "https://" + gateway.Host // whoever stands before the gateway speaks TLS
	case gateway.Host != "":
		return scheme + "://" + gateway.Host
	default:
		return scheme + "://" + ComponentName(in.Stack.Name, v1alpha1.ComponentGateway) + "." + in.Stack.Namespace + ".svc"
	}
}

// PostgresHost is the host of the server that the stack runs, in its namespace; "" for an External one.
func PostgresHost(in Input) string {
	switch in.PostgresMode {
	case v1alpha1.DataManaged:
		return ObjectName(in.Stack.Name, NamePostgres) + "-rw"
	case v1alpha1.DataStatefulSet:
		return ObjectName(in.Stack.Name, NamePostgres)
	case v1alpha1.DataExternal:
	}
	return ""
}

// RedisHost is the host of the server that the stack runs, in its namespace; "" for an External one.
func RedisHost(in Input) string {
	if redisExternal(in) {
		return ""
	}
	return ObjectName(in.Stack.Name, NameRedis)
}

func redisExternal(in Input) bool { return in.Stack.Spec.Redis.Mode == v1alpha1.DataExternal }

// CertificateNames are the DNS names of the certificate of a part (a component,
// NamePostgres, NameRedis or NameSimulator), the first being the common name.
func CertificateNames(in Input, part string) []string {
	hosts := []string{ObjectName(in.Stack.Name, part)}
	if part == NamePostgres && in.PostgresMode == v1alpha1.DataManaged {
		hosts = []string{hosts[0] + "-rw", hosts[0] + "-r", hosts[0] + "-ro"}
	}
	if name := v1alpha1.ComponentName(part); ReadsRoutes(in) && Routed(name) {
		hosts = append(hosts, CanaryName(in.Stack.Name, name))
	}
	var names []string
	for _, host := range hosts {
		inNamespace := host + "." + in.Stack.Namespace
		names = append(names, host, inNamespace, inNamespace+".svc", inNamespace+".svc.cluster.local")
	}
	if part == string(v1alpha1.ComponentGateway) && in.Stack.Spec.Gateway.Host != "" {
		names = append(names, in.Stack.Spec.Gateway.Host)
	}
	return append(names, "localhost")
}

// portOf is the port of an address with or without one, by its scheme if need be.
func portOf(address string, otherwise int32) int32 {
	host := address
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host = u.Host
		switch u.Scheme {
		case "https":
			otherwise = portHTTPS
		case "http":
			otherwise = portHTTP
		}
	}
	_, text, err := net.SplitHostPort(host)
	if err != nil {
		return otherwise
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil || port < 1 || port > 65535 {
		return otherwise
	}
	return int32(port)
}

// objectsURL is where uploads go.
func objectsURL(in Input) string {
	return storeURL(uploadStore(&in.Stack.Spec))
}

// storeURL is the address of a bucket, or of the volume for nil.
func storeURL(store *v1alpha1.S3Spec) string {
	if store == nil {
		return "file://" + objectsFolder
	}
	query := url.Values{}
	if store.Region != "" {
		query.Set("region", store.Region)
	}
	if store.Endpoint != "" {
		query.Set("endpoint", endpointURL(store.Endpoint))
		query.Set("use_path_style", "true")
	}
	address := url.URL{Scheme: "s3", Host: store.Bucket, RawQuery: query.Encode()}
	return address.String()
}

// endpointURL gives an endpoint a scheme when it has none.
func endpointURL(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		return endpoint
	}
	return "https://" + endpoint
}

// volumeUsed holds when uploads are kept on a volume.
func volumeUsed(in Input) bool { return in.Stack.Spec.ObjectStorage.Mode != v1alpha1.ObjectStorageS3 }
