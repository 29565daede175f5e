package access

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
)

var secrets cache[protoreflect.FieldDescriptor, bool]

// Secret reports whether the field's value must never appear in an error or a log.
func Secret(field protoreflect.FieldDescriptor) bool {
	if field == nil {
		return false
	}
	return secrets.get(field, func(field protoreflect.FieldDescriptor) bool {
		secret, _ := proto.GetExtension(field.Options(), accessv1.E_Secret).(bool)
		return secret
	})
}

// SecretPath reports whether the path, such as "user.addresses[0].phone",
// passes a secret field of the message. Names are accepted in snake_case and
// lowerCamelCase. A path that names no field of the message is not secret.
func SecretPath(message protoreflect.MessageDescriptor, path string) bool {
	for path != "" && message != nil {
		var name string
		name, path, _ = strings.Cut(path, ".")
		name, _, _ = strings.Cut(name, "[")
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			return false
		}
		if Secret(field) {
			return true
		}
		if field.IsMap() {
			field = field.MapValue()
		}
		message = field.Message()
	}
	return false
}
