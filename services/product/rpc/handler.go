package rpc

import (
	"context"

	"github.com/google/uuid"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/cache"
)

// manage is the permission to change the catalog.
const manage = "manage:products"

// Config is what a handler needs. All fields are required.
type Config struct {
	// Service holds the rules.
	Service *product.Service
	// Cache answers public reads.
	Cache *cache.Cache
	// NewID returns the id of what a call creates, the same one when the call is repeated under its idempotency key.
	NewID func(ctx context.Context) uuid.UUID
	// PublicURL is the shop's address, without a trailing slash; uploaded images are below it.
	PublicURL string
}

// Handler serves ProductService.
type Handler struct {
	productv1connect.UnimplementedProductServiceHandler

	service *product.Service
	cache   *cache.Cache
	newID   func(ctx context.Context) uuid.UUID
	convert converter
}

// NewHandler returns a Handler.
func NewHandler(config Config) *Handler {
	return &Handler{
		service: config.Service, cache: config.Cache, newID: config.NewID,
		convert: converter{media: config.PublicURL + MediaPath},
	}
}

// seesAll reports whether the caller sees products that are not on sale, and the newest state of all.
func seesAll(ctx context.Context) bool { return identity.From(ctx).Can(manage) }

// changed makes this process see at once what it changed; the others see it within a second.
func (h *Handler) changed(ctx context.Context) { h.cache.Refresh(context.WithoutCancel(ctx)) }

// CreateProduct adds a product.
func (h *Handler) CreateProduct(ctx context.Context, req *productv1.CreateProductRequest) (*productv1.CreateProductResponse, error) {
	p, err := productFromProto(req.GetProduct())
	if err != nil {
		return nil, err
	}
	created, err := h.service.Create(ctx, product.CreateInput{ID: h.newID(ctx), Product: p, OnHand: onHand(req.GetProduct().GetStock())})
	if err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.CreateProductResponse{Product: h.convert.product(created)}, nil
}

// onHand is the first stock of a product: as said, or else what a client read elsewhere as available.
func onHand(stock *productv1.Stock) int32 {
	if n := stock.GetOnHand(); n != 0 {
		return n
	}
	return stock.GetAvailable()
}

// UpdateProduct changes the fields named by the mask.
func (h *Handler) UpdateProduct(ctx context.Context, req *productv1.UpdateProductRequest) (*productv1.UpdateProductResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	p, err := productFromProto(req.GetProduct())
	if err != nil {
		return nil, err
	}
	updated, err := h.service.Update(ctx, product.UpdateInput{
		ID: id, Product: p, Fields: fields(req.GetUpdateMask(), req.GetProduct()), Etag: etag(req.GetEtag(), req.GetProduct()),
	})
	if err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.UpdateProductResponse{Product: h.convert.product(updated)}, nil
}

// DeleteProduct takes a product out of the catalog.
func (h *Handler) DeleteProduct(ctx context.Context, req *productv1.DeleteProductRequest) (*productv1.DeleteProductResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	if err := h.service.Delete(ctx, id, req.GetEtag()); err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.DeleteProductResponse{}, nil
}

// AddProductImage stores an image.
func (h *Handler) AddProductImage(ctx context.Context, req *productv1.AddProductImageRequest) (*productv1.AddProductImageResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	image, err := h.service.AddImage(ctx, product.AddImageInput{
		ID: h.newID(ctx), ProductID: id, Data: req.GetImage().GetData(), Alt: req.GetAlt(),
	})
	if err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.AddProductImageResponse{Image: h.convert.image(image)}, nil
}

// DeleteProductImage removes an image from a product.
func (h *Handler) DeleteProductImage(
	ctx context.Context, req *productv1.DeleteProductImageRequest,
) (*productv1.DeleteProductImageResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	imageID, err := parseID("imageId", req.GetImageId())
	if err != nil {
		return nil, err
	}
	if err := h.service.DeleteImage(ctx, id, imageID); err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.DeleteProductImageResponse{}, nil
}

// AdjustStock changes the quantity on hand.
func (h *Handler) AdjustStock(ctx context.Context, req *productv1.AdjustStockRequest) (*productv1.AdjustStockResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	stock, err := h.service.AdjustStock(ctx, product.Adjustment{
		ID: h.newID(ctx), ProductID: id, Delta: req.GetDelta(), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	h.changed(ctx)
	return &productv1.AdjustStockResponse{Stock: stockToProto(stock)}, nil
}

// ListStockEntries lists the stock ledger of a product, newest first.
func (h *Handler) ListStockEntries(
	ctx context.Context, req *productv1.ListStockEntriesRequest,
) (*productv1.ListStockEntriesResponse, error) {
	id, err := parseID("productId", req.GetProductId())
	if err != nil {
		return nil, err
	}
	filter := page.FilterHash("stockEntries", id)
	var before uuid.UUID
	if token := req.GetPageToken(); token != "" {
		if err := page.Decode(token, &before, filter); err != nil {
			return nil, err
		}
	}
	entries, next, err := h.service.Entries(ctx, id, before, int(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &productv1.ListStockEntriesResponse{Entries: make([]*productv1.StockEntry, len(entries))}
	for i, entry := range entries {
		response.Entries[i] = entryToProto(entry)
	}
	if next != uuid.Nil {
		response.NextPageToken = page.Encode(next, filter)
	}
	return response, nil
}

func parseID(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fault.Invalid(field, "the id is not a UUID").WithField(field, text)
	}
	return id, nil
}
