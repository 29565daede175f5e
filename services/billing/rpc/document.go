package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
)

// ListInvoices implements the contract.
func (h *Handler) ListInvoices(ctx context.Context, req *billingv1.ListInvoicesRequest) (*billingv1.ListInvoicesResponse, error) {
	filter, binding, err := filterOf(ctx, req)
	if err != nil {
		return nil, err
	}
	documents, err := h.service.Store.Invoices(ctx, filter)
	if err != nil {
		return nil, err
	}
	response := &billingv1.ListInvoicesResponse{}
	if size := filter.Limit - 1; len(documents) > size {
		documents = documents[:size]
		response.NextPageToken = next(documents[size-1].CreateTime, documents[size-1].ID, binding)
	}
	for _, document := range documents {
		response.Invoices = append(response.Invoices, toInvoice(document))
	}
	return response, nil
}

// GetInvoice implements the contract.
func (h *Handler) GetInvoice(ctx context.Context, req *billingv1.GetInvoiceRequest) (*billingv1.GetInvoiceResponse, error) {
	document, err := h.service.Store.Invoice(ctx, fromID(req.GetInvoiceId()), viewer(ctx))
	if err != nil {
		return nil, err
	}
	return &billingv1.GetInvoiceResponse{Invoice: toInvoice(document)}, nil
}

// GetInvoicePdf implements the contract.
func (h *Handler) GetInvoicePdf(ctx context.Context, req *billingv1.GetInvoicePdfRequest) (*httpbody.HttpBody, error) {
	document, err := h.service.Store.Invoice(ctx, fromID(req.GetInvoiceId()), viewer(ctx))
	if err != nil {
		return nil, err
	}
	printed, err := h.draw(document)
	if err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: "application/pdf", Data: printed}, nil
}
