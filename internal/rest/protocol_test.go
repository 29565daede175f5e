package rest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
)

// asCaller sends every request under a name, in the place of a gateway.
type asCaller struct {
	client *http.Client
	name   string
}

func (a asCaller) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("X-Test-As", a.name)
	return a.client.Do(request)
}

func TestEveryProtocolAnswersAlike(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	t.Cleanup(h2.CloseIdleConnections)
	signer, err := identity.NewSigner(identity.GenerateKeys())
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]connecthttp.Option{
		"connect": nil, "connect JSON": {connecthttp.WithProtoJSON()}, "connect GET": {connecthttp.WithHTTPGet()},
		"gRPC": {connecthttp.WithGRPC()}, "gRPC-Web": {connecthttp.WithGRPCWeb(), connecthttp.WithSendGzip()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := connecthttp.NewTransport(asCaller{h2, "admin"}, s.URL, options...)
			products := productv1connect.NewProductServiceClient(rpc.NewClient(transport, rpc.ClientOptions{Caller: "test", Target: "product", Remote: true, Signer: signer}))
			got, err := products.GetProduct(t.Context(), &productv1.GetProductRequest{ProductId: productID})
			if err != nil || !proto.Equal(got.GetProduct(), sample()) {
				t.Fatalf("%v, %v", got, err)
			}
			list, err := products.ListProducts(t.Context(), &productv1.ListProductsRequest{Q: "encoded"})
			if err != nil || list.GetNextPageToken() != "message" {
				t.Errorf("only REST takes encoded answers: %v, %v", list, err)
			}
			_, err = products.CreateProduct(t.Context(), &productv1.CreateProductRequest{Product: &productv1.Product{Name: "conflict", Sku: "A1"}})
			failure := fault.From(err)
			if !errors.Is(err, fault.Conflict("SKU_TAKEN", "")) || failure.Field != "product.sku" || failure.Value != "A1" || failure.Metadata["owner"] != "other" {
				t.Errorf("%+v", failure)
			}
			_, err = products.GetProduct(t.Context(), &productv1.GetProductRequest{ProductId: "x"})
			if failure := fault.From(err); failure == nil || failure.Kind != fault.KindInvalidInput || failure.Field != "productId" || failure.Value != "x" {
				t.Errorf("%+v", failure)
			}
			_, err = products.CreateProduct(t.Context(), &productv1.CreateProductRequest{Product: &productv1.Product{Name: "broken"}})
			if failure := fault.From(err); failure == nil || failure.Kind != fault.KindInternal || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
			_, err = products.ListCategories(t.Context(), &productv1.ListCategoriesRequest{})
			if failure := fault.From(err); failure == nil || failure.Kind != fault.KindNotFound && failure.Kind != fault.KindInternal {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPlainClientSeesWireErrors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	products := productv1connect.NewProductServiceClient(connect.NewClient(connecthttp.NewTransport(asCaller{s.Client(), ""}, s.URL)))
	for want, call := range map[connect.Code]func() error{
		connect.CodeUnauthenticated: func() error {
			_, err := products.AdjustStock(t.Context(), &productv1.AdjustStockRequest{})
			return err
		},
		connect.CodeNotFound: func() error {
			_, err := products.GetProduct(t.Context(), &productv1.GetProductRequest{ProductId: "0198c1de-7b1a-7000-8000-000000000002"})
			return err
		},
		connect.CodeUnimplemented: func() error {
			_, err := products.ListCategories(t.Context(), &productv1.ListCategoriesRequest{})
			return err
		},
		connect.CodeInternal: func() error {
			_, err := products.ListProducts(t.Context(), &productv1.ListProductsRequest{Q: "panic"})
			return err
		},
	} {
		err := call()
		if connect.CodeOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("leaked: %v", err)
		}
	}
}
