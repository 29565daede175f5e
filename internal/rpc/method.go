package rpc

import (
	"strings"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	"github.com/commercestack/commercestack/internal/access"
)

// method is what a server knows of a procedure before the first byte of a call.
type method struct {
	spec       connect.Spec
	component  string // "order"
	name       string // "commerce.order.v1.OrderService/PlaceOrder"
	short      string // "OrderService/PlaceOrder"
	descriptor protoreflect.MethodDescriptor
	rule       *accessv1.Rule
	open       bool // health and reflection, which have no caller to identify
	recursive  bool
	attributes []attribute.KeyValue
	ok         prometheus.Counter
	duration   prometheus.Observer
	inFlight   prometheus.Gauge
}

func newMethod(spec connect.Spec, m metrics) *method {
	service, call := splitProcedure(spec.Procedure)
	result := &method{
		spec: spec, name: service + "/" + call, component: ComponentOf(spec.Procedure),
		short: service[strings.LastIndexByte(service, '.')+1:] + "/" + call,
		open:  strings.HasPrefix(service, "grpc."),
		attributes: []attribute.KeyValue{
			attribute.String("rpc.system", "connect_rpc"), attribute.String("rpc.service", service), attribute.String("rpc.method", call),
		},
	}
	if descriptor, ok := spec.Schema.(protoreflect.MethodDescriptor); ok {
		result.descriptor = descriptor
		result.rule = access.ForMethod(descriptor)
		result.recursive = recursive(descriptor.Input())
	}
	result.ok = m.requests.WithLabelValues(result.component, result.short, "ok")
	result.duration = m.duration.WithLabelValues(result.component, result.short)
	result.inFlight = m.inFlight.WithLabelValues(result.component)
	return result
}

func (m *method) request() protoreflect.MessageDescriptor {
	if m.descriptor == nil {
		return nil
	}
	return m.descriptor.Input()
}

// ComponentOf returns the name of the component that owns a procedure: "order"
// for "/commerce.order.v1.OrderService/PlaceOrder".
func ComponentOf(procedure string) string {
	service, _ := splitProcedure(procedure)
	parts := strings.Split(service, ".")
	if len(parts) < 2 {
		return service
	}
	return parts[1]
}

func splitProcedure(procedure string) (service, call string) {
	service, call, _ = strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	return service, call
}

// newMessage returns an empty message of the type: the generated one, if linked.
func newMessage(descriptor protoreflect.MessageDescriptor) proto.Message {
	if generated, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName()); err == nil {
		return generated.New().Interface()
	}
	return dynamicpb.NewMessage(descriptor)
}
