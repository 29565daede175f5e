package catalog

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/api/httpbody"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
)

const (
	painters = 4
	pageSize = 100
)

// Load fills an empty shop with the demo catalog and returns how many products
// it made; a shop that has a product already stays as it is, and the answer is
// 0. The context's identity needs the permission to manage products. Pictures
// take longer: Paint adds them.
func Load(ctx context.Context, client *connect.Client, currency string) (int, error) {
	products := productv1connect.NewProductServiceClient(client)
	empty, err := isEmpty(ctx, products)
	if err != nil || !empty {
		return 0, err
	}
	content, err := File(currency)
	if err != nil {
		return 0, err
	}
	report, err := products.ImportProducts(ctx, &productv1.ImportProductsRequest{
		Format: productv1.Format_SHOPIFY, Content: content, CurrencyCode: currency,
	})
	if err != nil {
		return 0, err
	}
	if errors := report.GetErrors(); len(errors) > 0 {
		return 0, fmt.Errorf("demo catalog, line %d: %s", errors[0].GetLine(), errors[0].GetMessage())
	}
	return int(report.GetCreated()), nil
}

func isEmpty(ctx context.Context, products productv1connect.ProductServiceClient) (bool, error) {
	for _, status := range []productv1.Product_Status{
		productv1.Product_ACTIVE, productv1.Product_DRAFT, productv1.Product_ARCHIVED,
	} {
		page, err := products.ListProducts(ctx, &productv1.ListProductsRequest{Status: status, PageSize: 1})
		if err != nil || len(page.GetProducts()) > 0 {
			return false, err
		}
	}
	return true, nil
}

// Paint gives a picture to every product of the demo catalog that has none, so
// a run that was cut off is finished by the next.
func Paint(ctx context.Context, client *connect.Client) error {
	products := productv1connect.NewProductServiceClient(client)
	bySKU, err := motifs()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(painters)
	token := ""
	for {
		page, err := products.ListProducts(ctx, &productv1.ListProductsRequest{OrderBy: "name", PageSize: pageSize, PageToken: token})
		if err != nil {
			_ = group.Wait()
			return err
		}
		for _, p := range page.GetProducts() {
			m, ok := bySKU[p.GetSku()]
			if !ok || len(p.GetImages()) > 0 {
				continue
			}
			group.Go(func() error {
				picture, err := draw(m)
				if err != nil {
					return err
				}
				_, err = products.AddProductImage(ctx, &productv1.AddProductImageRequest{
					ProductId: p.GetId(), Alt: p.GetName(), Image: &httpbody.HttpBody{ContentType: "image/jpeg", Data: picture},
				})
				return err
			})
		}
		if token = page.GetNextPageToken(); token == "" {
			return group.Wait()
		}
	}
}
