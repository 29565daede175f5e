package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/cache"
)

// StockHandler serves StockService.
type StockHandler struct {
	productv1connect.UnimplementedStockServiceHandler

	service *product.Service
	cache   *cache.Cache
	convert converter
}

// NewStockHandler returns a StockHandler.
func NewStockHandler(config Config) *StockHandler {
	return &StockHandler{service: config.Service, cache: config.Cache, convert: converter{media: config.PublicURL + MediaPath}}
}

// ReserveStock reserves all lines or none.
func (h *StockHandler) ReserveStock(ctx context.Context, req *productv1.ReserveStockRequest) (*productv1.ReserveStockResponse, error) {
	order, err := parseID("orderId", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	lines := make([]product.Line, len(req.GetLines()))
	for i, line := range req.GetLines() {
		id, err := parseID(fmt.Sprintf("items[%d].productId", i), line.GetProductId())
		if err != nil {
			return nil, err
		}
		lines[i] = product.Line{ProductID: id, Quantity: line.GetQuantity()}
	}
	sold, expire, err := h.service.Reserve(ctx, product.ReserveInput{
		OrderID: order, Lines: lines, ExpireTime: req.GetExpireTime().AsTime(),
	})
	if err != nil {
		return nil, err
	}
	response := &productv1.ReserveStockResponse{
		ExpireTime: timestamppb.New(expire), Products: make([]*productv1.ReservedProduct, len(sold)),
	}
	ids := make([]uuid.UUID, len(sold))
	for i, s := range sold {
		ids[i] = s.ProductID
		response.Products[i] = &productv1.ReservedProduct{
			ProductId: s.ProductID.String(), Sku: s.SKU, Name: s.Name, UnitPrice: moneyToProto(s.UnitPrice),
			TaxClass: s.TaxClass, WeightGrams: s.WeightGrams, Quantity: s.Quantity,
		}
	}
	h.cache.Drop(ids...)
	return response, nil
}

// ExtendReservation moves the expiry of a live reservation later, never earlier.
func (h *StockHandler) ExtendReservation(
	ctx context.Context, req *productv1.ExtendReservationRequest,
) (*productv1.ExtendReservationResponse, error) {
	order, err := parseID("orderId", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	expire, err := h.service.Extend(ctx, order, req.GetExpireTime().AsTime())
	if err != nil {
		return nil, err
	}
	return &productv1.ExtendReservationResponse{ExpireTime: timestamppb.New(expire)}, nil
}

// CommitReservation turns a live reservation into a sale.
func (h *StockHandler) CommitReservation(
	ctx context.Context, req *productv1.CommitReservationRequest,
) (*productv1.CommitReservationResponse, error) {
	order, err := parseID("orderId", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	return &productv1.CommitReservationResponse{}, h.service.Commit(ctx, order)
}

// ReleaseReservation gives reserved or sold goods back to the stock.
func (h *StockHandler) ReleaseReservation(
	ctx context.Context, req *productv1.ReleaseReservationRequest,
) (*productv1.ReleaseReservationResponse, error) {
	order, err := parseID("orderId", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	return &productv1.ReleaseReservationResponse{}, h.service.Release(ctx, order, req.GetReason())
}

// BatchGetProducts returns the products on sale among ids.
func (h *StockHandler) BatchGetProducts(
	ctx context.Context, req *productv1.BatchGetProductsRequest,
) (*productv1.BatchGetProductsResponse, error) {
	ids := make([]uuid.UUID, len(req.GetProductIds()))
	for i, text := range req.GetProductIds() {
		id, err := parseID(fmt.Sprintf("productIds[%d]", i), text)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	products, err := h.service.BatchGet(ctx, ids)
	if err != nil {
		return nil, err
	}
	response := &productv1.BatchGetProductsResponse{Products: make([]*productv1.Product, len(products))}
	for i, p := range products {
		response.Products[i] = h.convert.product(p)
	}
	return response, nil
}
