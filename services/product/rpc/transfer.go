package rpc

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"google.golang.org/genproto/googleapis/api/httpbody"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/exchange"
)

var formats = map[productv1.Format]exchange.Format{
	productv1.Format_SHOPIFY: exchange.Shopify,
	productv1.Format_VENDURE: exchange.Vendure,
	productv1.Format_MEDUSA:  exchange.Medusa,
}

func formatFromProto(format productv1.Format) (exchange.Format, error) {
	f, ok := formats[format]
	if !ok {
		return "", fault.Invalid("format", "the format is not known")
	}
	return f, nil
}

// maxRowErrors bounds the answer; a file in the wrong encoding has one for every row.
const maxRowErrors = 1000

// ImportProducts creates or updates products from a file of another shop.
func (h *Handler) ImportProducts(ctx context.Context, req *productv1.ImportProductsRequest) (*productv1.ImportProductsResponse, error) {
	format, err := formatFromProto(req.GetFormat())
	if err != nil {
		return nil, err
	}
	currency := req.GetCurrencyCode()
	if currency == "" {
		currency = h.service.Currency()
	}
	items, problems, err := exchange.Parse(format, req.GetContent(), currency)
	if err != nil {
		return nil, err
	}
	report, err := h.service.Import(ctx, items, req.GetDryRun())
	// Also after a failure: what was taken in before it stays.
	h.changed(ctx)
	if err != nil {
		return nil, err
	}
	response := &productv1.ImportProductsResponse{
		Created: count(report.Created), Updated: count(report.Updated), Unchanged: count(report.Unchanged),
	}
	for _, e := range append(problems, report.Errors...) {
		if len(response.GetErrors()) == maxRowErrors {
			response.Errors = append(response.Errors, &productv1.ImportProductsResponse_RowError{Message: "there are more errors"})
			break
		}
		response.Errors = append(response.Errors, rowErrorToProto(e))
	}
	return response, nil
}

func rowErrorToProto(e product.RowError) *productv1.ImportProductsResponse_RowError {
	return &productv1.ImportProductsResponse_RowError{Line: count(e.Line), Field: e.Field, Message: e.Message}
}

func count(n int) int32 { return int32(min(n, math.MaxInt32)) }

// ExportProducts writes the catalog in the file format of another shop.
func (h *Handler) ExportProducts(ctx context.Context, req *productv1.ExportProductsRequest) (*httpbody.HttpBody, error) {
	format, err := formatFromProto(req.GetFormat())
	if err != nil {
		return nil, err
	}
	categories, err := h.service.AllCategories(ctx)
	if err != nil {
		return nil, err
	}
	var products []product.Product
	err = h.service.Export(ctx, func(some []product.Product) error {
		products = append(products, some...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := exchange.Write(format, &file, products, categories); err != nil {
		return nil, err
	}
	rpc.SetResponseHeader(ctx, "Content-Disposition", fmt.Sprintf(`attachment; filename="products-%s.csv"`, format))
	return &httpbody.HttpBody{ContentType: exchange.ContentType, Data: file.Bytes()}, nil
}
