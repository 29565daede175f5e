package rpc

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/user"
)

// The fields that a person and an administrator may change.
var (
	ownFields   = map[string]bool{"display_name": true, "phone": true, "locale": true}
	adminFields = map[string]bool{"display_name": true, "phone": true, "locale": true, "roles": true, "disabled": true}
)

// change is what a mask selects.
type change struct {
	profile  user.Change
	roles    []string
	disabled *bool
}

// fromMask takes the named fields, or without a mask those that are set, and
// refuses every one that is not allowed. The etag is a condition and no change.
func fromMask(msg *userv1.User, mask *fieldmaskpb.FieldMask, allowed map[string]bool) (change, error) {
	paths := mask.GetPaths()
	if len(paths) == 0 {
		msg.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			paths = append(paths, string(field.Name()))
			return true
		})
	}
	var selected change
	for _, path := range paths {
		if path == "etag" {
			continue
		}
		if !allowed[path] {
			return change{}, fault.Invalid("user."+jsonName(msg, path), "cannot be changed here")
		}
		switch path {
		case "display_name":
			selected.profile.DisplayName = &msg.DisplayName
		case "phone":
			selected.profile.Phone = &msg.Phone
		case "locale":
			selected.profile.Locale = &msg.Locale
		case "roles":
			if len(msg.GetRoles()) == 0 {
				return change{}, fault.Invalid("user.roles", "must not be empty")
			}
			selected.roles = msg.GetRoles()
		case "disabled":
			selected.disabled = &msg.Disabled
		}
	}
	return selected, nil
}

// etagOf prefers the request's condition to the one in the resource.
func etagOf(etag string, msg *userv1.User) string {
	if etag != "" {
		return etag
	}
	return msg.GetEtag()
}

// jsonName is the name under which callers know a field.
func jsonName(msg *userv1.User, path string) string {
	if field := msg.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(path)); field != nil {
		return field.JSONName()
	}
	return path
}
