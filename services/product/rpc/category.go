package rpc

import (
	"context"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/services/product"
)

// CreateCategory adds a category.
func (h *Handler) CreateCategory(ctx context.Context, req *productv1.CreateCategoryRequest) (*productv1.CreateCategoryResponse, error) {
	c, err := categoryFromProto(req.GetCategory())
	if err != nil {
		return nil, err
	}
	c.ID = h.newID(ctx)
	created, err := h.service.CreateCategory(ctx, c)
	if err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.CreateCategoryResponse{Category: categoryToProto(created)}, nil
}

// UpdateCategory changes the fields named by the mask.
func (h *Handler) UpdateCategory(ctx context.Context, req *productv1.UpdateCategoryRequest) (*productv1.UpdateCategoryResponse, error) {
	id, err := parseID("categoryId", req.GetCategoryId())
	if err != nil {
		return nil, err
	}
	c, err := categoryFromProto(req.GetCategory())
	if err != nil {
		return nil, err
	}
	updated, err := h.service.UpdateCategory(ctx, product.UpdateCategoryInput{
		ID: id, Category: c, Fields: fields(req.GetUpdateMask(), req.GetCategory()), Etag: etag(req.GetEtag(), req.GetCategory()),
	})
	if err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.UpdateCategoryResponse{Category: categoryToProto(updated)}, nil
}

// DeleteCategory removes a category without children.
func (h *Handler) DeleteCategory(ctx context.Context, req *productv1.DeleteCategoryRequest) (*productv1.DeleteCategoryResponse, error) {
	id, err := parseID("categoryId", req.GetCategoryId())
	if err != nil {
		return nil, err
	}
	if err := h.service.DeleteCategory(ctx, id); err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.DeleteCategoryResponse{}, nil
}

func categoryFromProto(c *productv1.Category) (product.Category, error) {
	out := product.Category{Slug: c.GetSlug(), Name: c.GetName(), Position: c.GetPosition()}
	if text := c.GetParentId(); text != "" {
		parent, err := parseID("parentId", text)
		if err != nil {
			return out, err
		}
		out.ParentID = parent
	}
	return out, nil
}

func categoryToProto(c product.Category) *productv1.Category {
	return &productv1.Category{
		Id: c.ID.String(), Slug: c.Slug, Name: c.Name, ParentId: idText(c.ParentID), Position: c.Position, Etag: c.Etag(),
	}
}

func branchesToProto(branches []product.Branch) []*productv1.Category {
	list := make([]*productv1.Category, len(branches))
	for i, b := range branches {
		list[i] = categoryToProto(b.Category)
		list[i].Children = branchesToProto(b.Children)
	}
	return list
}
