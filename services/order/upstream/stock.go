package upstream

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/order"
)

// maxReason is how long a reason for the ledger may be, in bytes.
const maxReason = 300

// Stock asks the product component.
type Stock struct {
	client productv1connect.StockServiceClient
}

var _ order.Stock = (*Stock)(nil)

// NewStock returns a stock behind a client of the product component.
func NewStock(client *connect.Client) *Stock {
	return &Stock{client: productv1connect.NewStockServiceClient(client)}
}

// Reserve implements order.Stock.
func (s *Stock) Reserve(ctx context.Context, orderID uuid.UUID, items []order.Item, expire time.Time) ([]order.Goods, error) {
	req := &productv1.ReserveStockRequest{
		OrderId: orderID.String(), ExpireTime: timestamppb.New(expire),
		Lines: make([]*productv1.ReserveStockRequest_Line, len(items)),
	}
	for i, item := range items {
		req.Lines[i] = &productv1.ReserveStockRequest_Line{ProductId: item.ProductID.String(), Quantity: item.Quantity}
	}
	res, err := s.client.ReserveStock(ctx, req)
	if err != nil {
		return nil, err
	}
	return inOrder(items, res.Products)
}

// inOrder pairs what was reserved with what was asked for. An answer that does
// not match is a defect of the stock, and selling by it would be one of ours.
func inOrder(items []order.Item, products []*productv1.ReservedProduct) ([]order.Goods, error) {
	byID := make(map[string]*productv1.ReservedProduct, len(products))
	for _, p := range products {
		byID[p.ProductId] = p
	}
	goods := make([]order.Goods, len(items))
	for i, item := range items {
		p := byID[item.ProductID.String()]
		if p == nil || p.Quantity != item.Quantity || p.UnitPrice == nil {
			return nil, fmt.Errorf("order: the stock's answer does not match the reservation of product %s", item.ProductID)
		}
		goods[i] = order.Goods{
			ProductID: item.ProductID, SKU: p.Sku, Name: p.Name, UnitPrice: fromMoney(p.UnitPrice),
			TaxClass: p.TaxClass, WeightGrams: int64(p.WeightGrams), Quantity: p.Quantity,
		}
	}
	return goods, nil
}

func fromMoney(m *typev1.Money) money.Money {
	return money.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: m.GetAmountMinor()}
}

// Extend implements order.Stock.
func (s *Stock) Extend(ctx context.Context, orderID uuid.UUID, expire time.Time) error {
	_, err := s.client.ExtendReservation(ctx, &productv1.ExtendReservationRequest{
		OrderId: orderID.String(), ExpireTime: timestamppb.New(expire),
	})
	return err
}

// Commit implements order.Stock.
func (s *Stock) Commit(ctx context.Context, orderID uuid.UUID) error {
	_, err := s.client.CommitReservation(ctx, &productv1.CommitReservationRequest{OrderId: orderID.String()})
	return err
}

// Release implements order.Stock.
func (s *Stock) Release(ctx context.Context, orderID uuid.UUID, reason string) error {
	_, err := s.client.ReleaseReservation(ctx, &productv1.ReleaseReservationRequest{
		OrderId: orderID.String(), Reason: reason[:min(len(reason), maxReason)],
	})
	return err
}

// Articles implements order.Stock.
func (s *Stock) Articles(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]order.Article, error) {
	req := &productv1.BatchGetProductsRequest{ProductIds: make([]string, len(ids))}
	for i, id := range ids {
		req.ProductIds[i] = id.String()
	}
	res, err := s.client.BatchGetProducts(ctx, req)
	if err != nil {
		return nil, err
	}
	articles := make(map[uuid.UUID]order.Article, len(res.Products))
	for _, p := range res.Products {
		id, err := uuid.Parse(p.Id)
		if err != nil {
			return nil, fmt.Errorf("order: the catalog answered with a malformed id: %w", err)
		}
		articles[id] = order.Article{Name: p.Name, Price: fromMoney(p.Price), Available: p.GetStock().GetAvailable()}
	}
	return articles, nil
}
