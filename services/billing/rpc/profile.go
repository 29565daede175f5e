package rpc

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/services/billing"
)

// GetBillingProfile implements the contract.
func (h *Handler) GetBillingProfile(ctx context.Context, _ *billingv1.GetBillingProfileRequest) (*billingv1.GetBillingProfileResponse, error) {
	profile, err := h.service.Store.Profile(ctx, self(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &billingv1.GetBillingProfileResponse{Profile: toProfile(profile)}, nil
}

// UpdateBillingProfile implements the contract.
func (h *Handler) UpdateBillingProfile(ctx context.Context, req *billingv1.UpdateBillingProfileRequest) (*billingv1.UpdateBillingProfileResponse, error) {
	change, err := fromMask(req.GetProfile(), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	etag := req.GetEtag()
	if etag == "" {
		etag = req.GetProfile().GetEtag()
	}
	if etag != "" {
		seen, err := strconv.ParseInt(etag, 10, 64)
		if err != nil || seen < 0 {
			return nil, fault.Stale("the billing profile was changed meanwhile")
		}
		change.Version = &seen
	}
	change.UserID, change.Email = self(ctx).UserID, identity.From(ctx).Email
	profile, err := h.service.UpdateProfile(ctx, change)
	if err != nil {
		return nil, err
	}
	return &billingv1.UpdateBillingProfileResponse{Profile: toProfile(profile)}, nil
}

// fromMask takes the named fields, or without a mask those that are set. The
// etag is a condition and no change.
func fromMask(msg *billingv1.BillingProfile, paths []string) (billing.ProfileChange, error) {
	if len(paths) == 0 {
		msg.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			paths = append(paths, string(field.Name()))
			return true
		})
	}
	var change billing.ProfileChange
	for _, path := range paths {
		switch path {
		case "etag":
		case "name":
			change.Name = &msg.Name
		case "tax_id":
			change.TaxID = &msg.TaxId
		case "address":
			address := fromAddress(msg.GetAddress())
			change.Address = &address
		case "default_payment_method":
			change.DefaultMethod = &msg.DefaultPaymentMethod
		default:
			return billing.ProfileChange{}, fault.Invalid("profile."+path, "cannot be changed here")
		}
	}
	return change, nil
}
