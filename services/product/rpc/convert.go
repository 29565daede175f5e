package rpc

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/product"
)

// MediaPath is where uploaded images are served.
const MediaPath = "/media/"

// converter knows where images are served.
type converter struct{ media string }

func (c converter) product(p product.Product) *productv1.Product {
	out := &productv1.Product{
		Id: p.ID.String(), Slug: p.Slug, Name: p.Name, Description: p.Description, Price: moneyToProto(p.Price),
		CategoryIds: make([]string, len(p.CategoryIDs)), Stock: stockToProto(p.Stock), Images: make([]*productv1.Image, len(p.Images)),
		Etag: p.Etag(), Sku: p.SKU, Attributes: p.Attributes, TaxClass: p.TaxClass, Status: statusToProto(p.Status),
		WeightGrams: p.WeightGrams, GroupKey: p.GroupKey,
		CreateTime: timestamppb.New(p.CreateTime), UpdateTime: timestamppb.New(p.UpdateTime),
	}
	for i, id := range p.CategoryIDs {
		out.CategoryIds[i] = id.String()
	}
	for i, image := range p.Images {
		out.Images[i] = c.image(image)
	}
	return out
}

func (c converter) image(i product.Image) *productv1.Image {
	out := &productv1.Image{Id: i.ID.String(), Url: i.ExternalURL, ThumbnailUrl: i.ExternalURL, Alt: i.Alt, Width: i.Width, Height: i.Height}
	if i.ObjectKey != "" {
		out.Url, out.ThumbnailUrl = c.media+i.ObjectKey, c.media+i.ThumbnailKey
	}
	return out
}

func productFromProto(p *productv1.Product) (product.Product, error) {
	out := product.Product{
		Slug: p.GetSlug(), SKU: p.GetSku(), Name: p.GetName(), Description: p.GetDescription(), Price: moneyFromProto(p.GetPrice()),
		TaxClass: p.GetTaxClass(), Status: statusFromProto(p.GetStatus()), WeightGrams: p.GetWeightGrams(), GroupKey: p.GetGroupKey(),
		Attributes: p.GetAttributes(), CategoryIDs: make([]uuid.UUID, len(p.GetCategoryIds())),
	}
	for i, text := range p.GetCategoryIds() {
		id, err := parseID(fmt.Sprintf("categoryIds[%d]", i), text)
		if err != nil {
			return out, err
		}
		out.CategoryIDs[i] = id
	}
	return out, nil
}

func moneyToProto(m money.Money) *typev1.Money {
	return &typev1.Money{CurrencyCode: m.CurrencyCode, AmountMinor: m.AmountMinor}
}

func moneyFromProto(m *typev1.Money) money.Money {
	return money.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: m.GetAmountMinor()}
}

func stockToProto(s product.Stock) *productv1.Stock {
	return &productv1.Stock{Available: s.Available(), OnHand: s.OnHand, Reserved: s.Reserved}
}

var statuses = map[product.Status]productv1.Product_Status{
	product.StatusActive:   productv1.Product_ACTIVE,
	product.StatusDraft:    productv1.Product_DRAFT,
	product.StatusArchived: productv1.Product_ARCHIVED,
}

func statusToProto(s product.Status) productv1.Product_Status { return statuses[s] }

// statusFromProto returns "" for no status, and what is no status for one we do not know.
func statusFromProto(s productv1.Product_Status) product.Status {
	if s == productv1.Product_STATUS_UNSPECIFIED {
		return ""
	}
	return product.Status(s.String())
}

func entryToProto(e product.Entry) *productv1.StockEntry {
	return &productv1.StockEntry{
		Id: e.ID.String(), ProductId: e.ProductID.String(),
		Kind:        productv1.StockEntry_Kind(productv1.StockEntry_Kind_value[string(e.Kind)]),
		OnHandDelta: e.OnHandDelta, ReservedDelta: e.ReservedDelta, Reason: e.Reason, OrderId: idText(e.OrderID),
		CreateTime: timestamppb.New(e.CreateTime),
	}
}

func facetsToProto(facets []product.Facet) []*productv1.Facet {
	list := make([]*productv1.Facet, len(facets))
	for i, f := range facets {
		list[i] = &productv1.Facet{Name: f.Name, Values: make([]*productv1.Facet_Value, len(f.Values))}
		for j, v := range f.Values {
			list[i].Values[j] = &productv1.Facet_Value{Value: v.Value, Label: v.Label, Count: v.Count}
		}
	}
	return list
}

func attributesFromProto(filters []string) (map[string][]string, error) {
	attributes := make(map[string][]string, len(filters))
	for i, filter := range filters {
		name, value, ok := strings.Cut(filter, ":")
		if !ok || name == "" || value == "" || strings.ContainsRune(filter, 0) {
			field := fmt.Sprintf("attributes[%d]", i)
			return nil, fault.Invalid(field, "a filter is name:value").WithField(field, filter)
		}
		attributes[name] = append(attributes[name], value)
	}
	return attributes, nil
}

// fields are those of the mask or, without one, those that the message sets.
func fields(mask *fieldmaskpb.FieldMask, message proto.Message) []string {
	if paths := mask.GetPaths(); len(paths) > 0 {
		return paths
	}
	var names []string
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		names = append(names, string(field.Name()))
		return true
	})
	return names
}

// etag is the condition of the request, or the one that came back with the resource.
func etag(request string, resource interface{ GetEtag() string }) string {
	if request != "" {
		return request
	}
	return resource.GetEtag()
}
