package rpc

import (
	"context"

	"github.com/google/uuid"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/order"
)

// Carts serves CartService.
type Carts struct {
	service *order.Service
}

var _ orderv1connect.CartServiceHandler = (*Carts)(nil)

// NewCarts returns the handlers of carts.
func NewCarts(service *order.Service) *Carts { return &Carts{service: service} }

func cartInput(ctx context.Context, cartID, productID string, quantity int32) order.CartInput {
	return order.CartInput{
		RequestID: idempotency.ResourceID(ctx), CartID: fromID(cartID), Caller: caller(ctx),
		Line: order.CartLine{ProductID: fromID(productID), Quantity: quantity},
	}
}

// CreateCart implements CartService.
func (h *Carts) CreateCart(ctx context.Context, _ *orderv1.CreateCartRequest) (*orderv1.CreateCartResponse, error) {
	cart, token, err := h.service.CreateCart(ctx, cartInput(ctx, "", "", 0))
	if err != nil {
		return nil, err
	}
	return &orderv1.CreateCartResponse{Cart: toCart(cart), GuestToken: token}, nil
}

// GetCart implements CartService.
func (h *Carts) GetCart(ctx context.Context, req *orderv1.GetCartRequest) (*orderv1.GetCartResponse, error) {
	cart, err := h.service.GetCart(ctx, cartInput(ctx, req.CartId, "", 0))
	if err != nil {
		return nil, err
	}
	return &orderv1.GetCartResponse{Cart: toCart(cart)}, nil
}

// AddCartItem implements CartService.
func (h *Carts) AddCartItem(ctx context.Context, req *orderv1.AddCartItemRequest) (*orderv1.AddCartItemResponse, error) {
	cart, err := h.service.AddCartItem(ctx, cartInput(ctx, req.CartId, req.ProductId, req.Quantity))
	if err != nil {
		return nil, err
	}
	return &orderv1.AddCartItemResponse{Cart: toCart(cart)}, nil
}

// UpdateCartItem implements CartService.
func (h *Carts) UpdateCartItem(ctx context.Context, req *orderv1.UpdateCartItemRequest) (*orderv1.UpdateCartItemResponse, error) {
	cart, err := h.service.SetCartItem(ctx, cartInput(ctx, req.CartId, req.ProductId, req.Quantity))
	if err != nil {
		return nil, err
	}
	return &orderv1.UpdateCartItemResponse{Cart: toCart(cart)}, nil
}

// RemoveCartItem implements CartService.
func (h *Carts) RemoveCartItem(ctx context.Context, req *orderv1.RemoveCartItemRequest) (*orderv1.RemoveCartItemResponse, error) {
	cart, err := h.service.SetCartItem(ctx, cartInput(ctx, req.CartId, req.ProductId, 0))
	if err != nil {
		return nil, err
	}
	return &orderv1.RemoveCartItemResponse{Cart: toCart(cart)}, nil
}

// DeleteCart implements CartService.
func (h *Carts) DeleteCart(ctx context.Context, req *orderv1.DeleteCartRequest) (*orderv1.DeleteCartResponse, error) {
	if err := h.service.DeleteCart(ctx, cartInput(ctx, req.CartId, "", 0)); err != nil {
		return nil, err
	}
	return &orderv1.DeleteCartResponse{}, nil
}

// MergeCart implements CartService.
func (h *Carts) MergeCart(ctx context.Context, req *orderv1.MergeCartRequest) (*orderv1.MergeCartResponse, error) {
	cart, err := h.service.MergeCart(ctx, cartInput(ctx, req.CartId, "", 0))
	if err != nil {
		return nil, err
	}
	return &orderv1.MergeCartResponse{Cart: toCart(cart)}, nil
}

func toCart(cart order.CartView) *orderv1.Cart {
	out := &orderv1.Cart{
		Id: cart.ID.String(), Items: make([]*orderv1.Cart_Item, len(cart.Lines)), Subtotal: fromAmount(cart.Subtotal),
		CreateTime: toTime(cart.CreateTime), UpdateTime: toTime(cart.UpdateTime),
	}
	if cart.UserID != uuid.Nil {
		out.UserId = cart.UserID.String()
	}
	for i, line := range cart.Lines {
		item := &orderv1.Cart_Item{ProductId: line.ProductID.String(), Quantity: line.Quantity}
		if article, sold := cart.Articles[line.ProductID]; sold {
			item.Name, item.Available = article.Name, article.Available
			item.UnitPrice = fromAmount(article.Price)
			if amount, err := article.Price.Mul(int64(line.Quantity)); err == nil {
				item.Subtotal = fromAmount(amount)
			}
		}
		out.Items[i] = item
	}
	return out
}

func fromAmount(m money.Money) *typev1.Money {
	return &typev1.Money{CurrencyCode: m.CurrencyCode, AmountMinor: m.AmountMinor}
}
