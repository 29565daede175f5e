package main

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
)

// index finds what a document's names stand for.
type index struct {
	messages map[string]protoreflect.MessageDescriptor // by full name, which is the schema's name
	methods  map[string]protoreflect.MethodDescriptor  // by Service_Method, which is the operation's id
}

func newIndex(files *protoregistry.Files) index {
	idx := index{
		messages: map[string]protoreflect.MessageDescriptor{},
		methods:  map[string]protoreflect.MethodDescriptor{},
	}
	var add func(protoreflect.MessageDescriptors)
	add = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			idx.messages[string(messages.Get(i).FullName())] = messages.Get(i)
			add(messages.Get(i).Messages())
		}
	}
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		add(file.Messages())
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				idx.methods[string(service.Name())+"_"+string(method.Name())] = method
			}
		}
		return true
	})
	return idx
}

// enrich adds to the merged document what only our descriptors know.
func enrich(doc object, files *protoregistry.Files) error {
	idx := newIndex(files)
	components := doc["components"].(object)
	schemas := components["schemas"].(object)
	for name, schema := range schemas {
		if message := idx.messages[name]; message != nil {
			constrainProperties(schema.(object), message)
		}
	}
	for route, methods := range doc["paths"].(object) {
		for verb, operation := range methods.(object) {
			op := operation.(object)
			method := idx.methods[op["operationId"].(string)]
			if method == nil {
				return fmt.Errorf("%s %s: no method %v in the protos", verb, route, op["operationId"])
			}
			if !enrichOperation(op, verb, method) {
				delete(methods.(object), verb)
			}
		}
		if len(methods.(object)) == 0 {
			delete(doc["paths"].(object), route)
		}
	}
	delete(schemas, "google.api.HttpBody")
	delete(schemas, "google.rpc.Status")
	schemas["Error"] = errorSchema()
	components["responses"] = object{"Error": object{
		"description": "What went wrong, in the one form that all routes share.",
		"headers":     object{"X-Request-Id": requestIDHeader()},
		"content":     object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}},
	}}
	prune(doc, schemas)
	pruneTags(doc)
	components["securitySchemes"] = object{
		"bearer": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
	}
	return nil
}

// prune drops the schemas that no public route refers to.
func prune(doc object, schemas object) {
	reached := map[string]bool{}
	var visit func(any)
	visit = func(node any) {
		switch value := node.(type) {
		case object:
			if ref, ok := value["$ref"].(string); ok {
				if name, found := strings.CutPrefix(ref, "#/components/schemas/"); found && !reached[name] {
					reached[name] = true
					visit(schemas[name])
				}
			}
			for _, child := range value {
				visit(child)
			}
		case []any:
			for _, child := range value {
				visit(child)
			}
		}
	}
	visit(doc["paths"])
	visit(doc["components"].(object)["responses"])
	for name := range schemas {
		if !reached[name] {
			delete(schemas, name)
		}
	}
}

// pruneTags drops the services none of whose routes is public.
func pruneTags(doc object) {
	used := map[any]bool{}
	for _, methods := range doc["paths"].(object) {
		for _, operation := range methods.(object) {
			for _, tag := range operation.(object)["tags"].([]any) {
				used[tag] = true
			}
		}
	}
	doc["tags"] = slices.DeleteFunc(doc["tags"].([]any), func(tag any) bool {
		return !used[tag.(object)["name"]]
	})
}

// enrichOperation completes one route. It returns false for a route that is not
// part of the public API because only components may call it.
func enrichOperation(op object, verb string, method protoreflect.MethodDescriptor) bool {
	rule := accessRule(method)
	switch rule.GetLevel() {
	case accessv1.Level_LEVEL_SERVICE, accessv1.Level_LEVEL_UNSPECIFIED:
		return false
	case accessv1.Level_LEVEL_PUBLIC:
		op["security"] = []any{object{}, object{"bearer": []any{}}}
	case accessv1.Level_LEVEL_USER:
		op["security"] = []any{object{"bearer": []any{}}}
		if rule.GetPermission() != "" {
			op["x-permission"] = rule.GetPermission()
		}
	}

	parameters, _ := op["parameters"].([]any)
	for _, parameter := range parameters {
		p := parameter.(object)
		if field := findField(method.Input(), p["name"].(string)); field != nil {
			constrain(p["schema"].(object), field)
		}
	}
	if verb != "get" {
		parameters = append(parameters, object{
			"name": "Idempotency-Key", "in": "header",
			"description": "Makes a repeated request have one effect: the first answer is given again.",
			"schema":      object{"type": "string", "minLength": 1, "maxLength": 255},
		})
	}
	if len(parameters) > 0 {
		op["parameters"] = parameters
	}

	if body, ok := op["requestBody"].(object); ok {
		if isHTTPBody(bodyMessage(method)) {
			body["content"] = anyContent()
		} else if schema, ok := body["content"].(object)["application/json"].(object)["schema"].(object); ok {
			constrainProperties(schema, bodyMessage(method))
		}
	}
	responses := op["responses"].(object)
	delete(responses, "default")
	if success, ok := responses["200"].(object); ok {
		success["headers"] = object{"X-Request-Id": requestIDHeader()}
		switch {
		case isHTTPBody(method.Output()):
			success["description"] = "The file."
			success["content"] = anyContent()
		case method.Output().FullName() == "google.protobuf.Empty":
			success["description"] = "Done."
		}
	}
	responses["default"] = object{"$ref": "#/components/responses/Error"}
	return true
}

func accessRule(method protoreflect.MethodDescriptor) *accessv1.Rule {
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	rule, _ := proto.GetExtension(options, accessv1.E_Rule).(*accessv1.Rule)
	return rule
}

// findField resolves a parameter such as "pageSize", "page_size" or "price.amountMinor".
func findField(message protoreflect.MessageDescriptor, path string) protoreflect.FieldDescriptor {
	head, rest, nested := strings.Cut(path, ".")
	field := message.Fields().ByName(protoreflect.Name(head))
	if field == nil {
		field = message.Fields().ByJSONName(head)
	}
	if field == nil || !nested {
		return field
	}
	if field.Message() == nil {
		return nil
	}
	return findField(field.Message(), rest)
}

// bodyMessage is the message that an inline request body shows: the field that
// holds an HttpBody, or the request itself.
func bodyMessage(method protoreflect.MethodDescriptor) protoreflect.MessageDescriptor {
	fields := method.Input().Fields()
	for i := range fields.Len() {
		if message := fields.Get(i).Message(); message != nil && isHTTPBody(message) {
			return message
		}
	}
	return method.Input()
}

func isHTTPBody(message protoreflect.MessageDescriptor) bool {
	return message.FullName() == "google.api.HttpBody"
}

func anyContent() object {
	return object{"*/*": object{"schema": object{"type": "string", "format": "binary"}}}
}

func requestIDHeader() object {
	return object{
		"description": "Id of the request; it is in every log line that the request caused.",
		"schema":      object{"type": "string"},
	}
}

func errorSchema() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type": "object", "required": []any{"error"},
		"properties": object{"error": object{
			"type": "object", "required": []any{"code", "message", "timestamp", "requestId"},
			"properties": object{
				"code": object{
					"type": "string",
					"description": "Stable code to branch on: AUTH_FAILED, UNAUTHORIZED, INVALID_INPUT, NOT_FOUND, RATE_LIMIT, " +
						"INTERNAL_ERROR, UNAVAILABLE, STALE_ETAG, or the reason of a conflict such as OUT_OF_STOCK.",
				},
				"message": text("Sentence for a person."),
				"details": object{
					"type":        "object",
					"description": "What the message is about. A secret is never echoed.",
					"properties": object{
						"field": text("Path of the offending field."),
						"value": text("Its value."),
					},
					"additionalProperties": true,
				},
				"timestamp": object{"type": "string", "format": "date-time"},
				"requestId": text("Equal to the X-Request-Id header."),
			},
		}},
	}
}
