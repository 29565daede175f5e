package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/cache"
)

// The REST transport writes messages like this; a cached answer must not look different.
var restJSON = protojson.MarshalOptions{EmitDefaultValues: true}

// keys must not depend on the order in which a map was written.
var keyBytes = proto.MarshalOptions{Deterministic: true}

// GetProduct returns one product by id.
func (h *Handler) GetProduct(ctx context.Context, req *productv1.GetProductRequest) (*productv1.GetProductResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	if seesAll(ctx) {
		p, err := h.service.Get(ctx, id, true)
		if err != nil {
			return nil, err
		}
		return &productv1.GetProductResponse{Product: h.convert.product(p)}, nil
	}
	entry, err := h.cache.Product(ctx, id.String(), func(ctx context.Context) (*cache.Entry, error) {
		p, err := h.service.Get(ctx, id, false)
		return h.productEntry(p, err)
	})
	response := &productv1.GetProductResponse{}
	return response, answer(ctx, entry, err, response)
}

// GetProductBySlug returns one product by slug.
func (h *Handler) GetProductBySlug(
	ctx context.Context, req *productv1.GetProductBySlugRequest,
) (*productv1.GetProductBySlugResponse, error) {
	if seesAll(ctx) {
		p, err := h.service.GetBySlug(ctx, req.GetSlug(), true)
		if err != nil {
			return nil, err
		}
		return &productv1.GetProductBySlugResponse{Product: h.convert.product(p)}, nil
	}
	entry, err := h.cache.Product(ctx, "slug:"+req.GetSlug(), func(ctx context.Context) (*cache.Entry, error) {
		p, err := h.service.GetBySlug(ctx, req.GetSlug(), false)
		return h.productEntry(p, err)
	})
	response := &productv1.GetProductBySlugResponse{}
	return response, answer(ctx, entry, err, response)
}

// productEntry encodes a product. Both responses that hold one have the same shape.
func (h *Handler) productEntry(p product.Product, err error) (*cache.Entry, error) {
	if err != nil {
		return nil, err
	}
	entry, err := encode(&productv1.GetProductResponse{Product: h.convert.product(p)})
	if err != nil {
		return nil, err
	}
	entry.ProductID = p.ID
	// The version alone does not tell answers apart: the stock moves without it.
	entry.Etag = fmt.Sprintf(`"%d.%d.%d"`, p.Version, p.Stock.OnHand, p.Stock.Reserved)
	return entry, nil
}

func encode(message proto.Message) (*cache.Entry, error) {
	binary, err := proto.Marshal(message)
	if err != nil {
		return nil, err
	}
	json, err := restJSON.Marshal(message)
	if err != nil {
		return nil, err
	}
	return &cache.Entry{Message: binary, JSON: json}, nil
}

// answer hands out a cached answer: as it is to the REST transport, else as a message of the caller's own.
func answer(ctx context.Context, entry *cache.Entry, err error, response proto.Message) error {
	if err != nil {
		return err
	}
	if rpc.SetEncodedJSON(ctx, entry.JSON, entry.Etag) {
		return nil
	}
	return proto.Unmarshal(entry.Message, response)
}

// ListProducts searches and filters the catalog.
func (h *Handler) ListProducts(ctx context.Context, req *productv1.ListProductsRequest) (*productv1.ListProductsResponse, error) {
	all := seesAll(ctx)
	if status := req.GetStatus(); !all && status != productv1.Product_STATUS_UNSPECIFIED && status != productv1.Product_ACTIVE {
		return nil, fault.Unauthorized("only products on sale are listed here")
	}
	query, filter, err := queryFromProto(req)
	if err != nil {
		return nil, err
	}
	if all {
		return h.list(ctx, query, filter, req.GetFacets())
	}
	key, err := keyBytes.Marshal(req)
	if err != nil {
		return nil, err
	}
	entry, err := h.cache.List(ctx, string(key), func(ctx context.Context) (*cache.Entry, error) {
		response, err := h.list(ctx, query, filter, req.GetFacets())
		if err != nil {
			return nil, err
		}
		return encode(response)
	})
	response := &productv1.ListProductsResponse{}
	return response, answer(ctx, entry, err, response)
}

func (h *Handler) list(ctx context.Context, query product.Query, filter string, facets bool) (*productv1.ListProductsResponse, error) {
	found, err := h.service.List(ctx, query)
	if err != nil {
		return nil, err
	}
	response := &productv1.ListProductsResponse{Products: make([]*productv1.Product, len(found.Products))}
	for i, p := range found.Products {
		response.Products[i] = h.convert.product(p)
	}
	if found.Next != nil {
		response.NextPageToken = page.Encode(*found.Next, filter)
	}
	if facets {
		counted, err := h.service.Facets(ctx, query)
		if err != nil {
			return nil, err
		}
		response.Facets = facetsToProto(counted)
	}
	return response, nil
}

// queryFromProto also returns the hash of everything but the place in the list.
func queryFromProto(req *productv1.ListProductsRequest) (product.Query, string, error) {
	order, descending, err := product.ParseOrder(req.GetOrderBy())
	if err != nil {
		return product.Query{}, "", err
	}
	attributes, err := attributesFromProto(req.GetAttributes())
	if err != nil {
		return product.Query{}, "", err
	}
	q := product.Query{
		Text: req.GetQ(), MinPrice: req.GetMinPrice(), MaxPrice: req.GetMaxPrice(), InStock: req.GetInStock(),
		Attributes: attributes, Status: statusFromProto(req.GetStatus()), Order: order, Descending: descending,
		PageSize: int(req.GetPageSize()),
	}
	if text := req.GetCategoryId(); text != "" {
		if q.CategoryID, err = parseID("categoryId", text); err != nil {
			return q, "", err
		}
	}
	filter := page.FilterHash("products", q.Text, q.CategoryID, q.MinPrice, q.MaxPrice, q.InStock, req.GetAttributes(), q.Status,
		q.Order, q.Descending)
	if token := req.GetPageToken(); token != "" {
		q.After = &product.Cursor{}
		if err := page.Decode(token, q.After, filter); err != nil {
			return q, "", err
		}
	}
	return q, filter, nil
}

// ListCategories returns the category tree.
func (h *Handler) ListCategories(ctx context.Context, _ *productv1.ListCategoriesRequest) (*productv1.ListCategoriesResponse, error) {
	if seesAll(ctx) {
		return h.tree(ctx)
	}
	entry, err := h.cache.Categories(ctx, func(ctx context.Context) (*cache.Entry, error) {
		response, err := h.tree(ctx)
		if err != nil {
			return nil, err
		}
		return encode(response)
	})
	response := &productv1.ListCategoriesResponse{}
	return response, answer(ctx, entry, err, response)
}

func (h *Handler) tree(ctx context.Context) (*productv1.ListCategoriesResponse, error) {
	branches, err := h.service.Tree(ctx)
	if err != nil {
		return nil, err
	}
	return &productv1.ListCategoriesResponse{Categories: branchesToProto(branches)}, nil
}

// idText writes the zero UUID as nothing.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
