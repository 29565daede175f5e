package storefront

import (
	"net/http"

	"golang.org/x/sync/errgroup"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/storefront/view"
)

const gridSize = 24

func (s *Storefront) showCatalog(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	query := r.URL.Query()
	ask := &productv1.ListProductsRequest{
		Q: query.Get("q"), CategoryId: query.Get("category"), OrderBy: query.Get("sort"),
		PageSize: gridSize, PageToken: query.Get("page_token"),
	}
	g := view.Grid{Query: ask.Q, Category: ask.CategoryId, Order: ask.OrderBy}
	group, ctx := errgroup.WithContext(v.As(r.Context(), ""))
	var next string
	group.Go(func() error {
		answer, err := s.products.ListProducts(ctx, ask)
		g.Products, next = answer.GetProducts(), answer.GetNextPageToken()
		return err
	})
	group.Go(func() error {
		answer, err := s.products.ListCategories(ctx, &productv1.ListCategoriesRequest{})
		g.Categories = answer.GetCategories()
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if next != "" {
		g.Next = view.GridLink(ask.Q, ask.CategoryId, ask.OrderBy, next)
	}
	if ask.PageToken != "" {
		g.First = view.GridLink(ask.Q, ask.CategoryId, ask.OrderBy, "")
	}
	return browser.Show(w, r, http.StatusOK, view.Catalog(s.frame(r, v, "Shop"), g))
}

func (s *Storefront) showProduct(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	answer, err := s.products.GetProductBySlug(v.As(r.Context(), ""), &productv1.GetProductBySlugRequest{Slug: r.PathValue("slug")})
	if err != nil {
		return err
	}
	return browser.Show(w, r, http.StatusOK, view.Product(s.frame(r, v, answer.Product.Name), answer.Product, formKey()))
}

func (s *Storefront) notFound(http.ResponseWriter, *http.Request, *browser.Visit) error {
	return fault.NotFound("this page", "")
}
