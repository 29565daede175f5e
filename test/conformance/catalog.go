package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strings"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

var catalogCases = []Case{
	{
		Trap: 27, Name: "pages-are-bounded-and-complete", Needs: Needs{Admin: true}, Run: pages,
		Rule: "Lists have pages of at most 100, and walking them while products are added shows each product once.",
	},
	{
		Trap: 27, Name: "every-list-is-bounded", Needs: Needs{Admin: true}, Run: bounded,
		Rule: "Every list refuses pages above 100 and tokens that are not its own, and has 20 rows unless it is told otherwise.",
	},
	{
		Trap: 27, Name: "a-price-change-holds-at-once", Needs: Needs{Admin: true}, Run: freshPrice,
		Rule: "An order after a price change is at the new price, and search shows it within 10 s.",
	},
	{
		Trap: 27, Name: "a-stale-change-is-refused", Needs: Needs{Admin: true}, Run: staleEtag,
		Rule: "Of eight changes that saw the same version one is made, the others are told that it is stale.",
	},
	{
		Trap: 29, Name: "only-pictures-are-uploaded", Needs: Needs{Admin: true}, Run: uploads,
		Rule: "SVG, HTML and script under any name are refused; a picture is served as what it is and nothing else.",
	},
}

func pages(ctx context.Context, s *Session) error {
	word := "pg" + newKey()[:10]
	ids := make(map[string]int)
	add := func() error {
		id, err := s.product(ctx, word, 100, 1)
		if err == nil {
			ids[id] = 0
		}
		return err
	}
	for range 12 {
		if err := add(); err != nil {
			return err
		}
	}
	before := len(ids)
	token, seen := "", 0
	for page := 0; ; page++ {
		answer, err := s.Guest.Must(ctx, http.MethodGet, "/api/v1/products"+shop.Query("q", word, "orderBy", "create_time", "pageSize", "5", "pageToken", token), nil)
		if err != nil {
			return err
		}
		if n := answer.Len("products"); n > 5 || page > 10 {
			return fmt.Errorf("page %d of size 5 has %d products", page, n)
		}
		for i := range answer.Len("products") {
			ids[answer.String("products", i, "id")]++
			seen++
		}
		if token = answer.String("nextPageToken"); token == "" {
			break
		}
		if err := s.badTokens(ctx, word, token); err != nil {
			return err
		}
		if page == 0 {
			if err := add(); err != nil {
				return err
			}
		}
	}
	for id, n := range ids {
		if n > 1 {
			return fmt.Errorf("product %s was on %d pages", id, n)
		}
	}
	if seen < before {
		return fmt.Errorf("%d of %d products were on the pages", seen, before)
	}
	return nil
}

// badTokens wants page tokens to be good for their own list only.
func (s *Session) badTokens(ctx context.Context, word, token string) error {
	for name, query := range map[string]string{
		"page size 101":          shop.Query("q", word, "pageSize", "101"),
		"page size −1":           shop.Query("q", word, "pageSize", "-1"),
		"token of another list":  shop.Query("q", word+"x", "orderBy", "create_time", "pageSize", "5", "pageToken", token),
		"token of another order": shop.Query("q", word, "orderBy", "name", "pageSize", "5", "pageToken", token),
		"nonsense as token":      shop.Query("q", word, "pageToken", "nonsense"),
	} {
		if err := mustRefuse(ctx, s.Guest, http.MethodGet, "/api/v1/products"+query, nil, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func bounded(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "listed", 1000, 1)
	if err != nil {
		return err
	}
	for path, list := range map[string]string{
		"/api/v1/products?": "products", "/api/v1/orders?all=true&": "orders", "/api/v1/users?": "users", "/api/v1/coupons?": "coupons",
		"/api/v1/billing/payments?all=true&": "payments", "/api/v1/billing/invoices?all=true&": "invoices",
		"/api/v1/products/" + product + "/stockEntries?": "entries",
	} {
		for _, query := range []string{"pageSize=101", "pageSize=-1", "pageSize=many", "pageToken=nonsense", "pageToken=AAAAAAAA"} {
			if err := mustRefuse(ctx, s.Admin, http.MethodGet, path+query, nil, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
				return err
			}
		}
		page, err := s.Admin.Must(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		if page.Len(list) > 20 {
			return fmt.Errorf("%s has %d rows on a page", path, page.Len(list))
		}
	}
	return nil
}

func freshPrice(ctx context.Context, s *Session) error {
	word := "fp" + newKey()[:10]
	product, err := s.product(ctx, word, 1000, 100)
	if err != nil {
		return err
	}
	if _, err := s.buy(ctx, line{product, 1}); err != nil { // whatever is cached is cached now
		return err
	}
	for price := int64(1100); price <= 1300; price += 100 {
		if _, err := s.Admin.Must(ctx, http.MethodPatch, "/api/v1/products/"+product, map[string]any{"price": s.money(price)}); err != nil {
			return err
		}
		b, err := s.buy(ctx, line{product, 1})
		if err != nil {
			return err
		}
		if got := b.Order.Int("order", "subtotal", "amountMinor"); got != price {
			return fmt.Errorf("an order after the change to %d is at %d", price, got)
		}
	}
	return eventually(ctx, 10*time.Second, func() error {
		answer, err := s.Guest.Must(ctx, http.MethodGet, "/api/v1/products"+shop.Query("q", word), nil)
		if err != nil {
			return err
		}
		if answer.Len("products") != 1 || answer.Int("products", 0, "price", "amountMinor") != 1300 {
			return fmt.Errorf("search shows %s", brief(answer))
		}
		return nil
	})
}

func staleEtag(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "stale", 1000, 1)
	if err != nil {
		return err
	}
	seen, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/products/"+product, nil)
	if err != nil {
		return err
	}
	etag := seen.String("product", "etag")
	if etag == "" {
		return errors.New("a product has no etag")
	}
	won := make([]bool, 8)
	err = together(len(won), func(i int) error {
		answer, err := send(ctx, s.Admin.With("If-Match", `"`+etag+`"`), http.MethodPatch, "/api/v1/products/"+product, map[string]any{"description": newKey()})
		if err != nil {
			return err
		}
		if won[i] = answer.Status == http.StatusOK; won[i] {
			return nil
		}
		return refusal(answer, http.StatusPreconditionFailed)
	})
	if err != nil {
		return err
	}
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%d changes of one version were made", n)
	}
	return nil
}

func uploads(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "pictured", 1000, 1)
	if err != nil {
		return err
	}
	path := "/api/v1/products/" + product + "/images"
	const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>`
	const html = `<!doctype html><html><body><script>alert(1)</script></body></html>`
	for _, u := range []struct{ contentType, body string }{
		{"image/svg+xml", svg},
		{"image/png", svg},
		{"image/jpeg", svg},
		{"text/html", html},
		{"image/png", html},
		{"image/gif", html},
		{"image/gif", "GIF89a/*" + html + "*/=0"},
		{"image/png", "\x89PNG\r\n\x1a\n" + html},
		{"image/png", ""},
		{"application/octet-stream", "MZ"},
		{"application/pdf", "%PDF-1.7"},
	} {
		answer, err := send(ctx, s.Admin.With("Content-Type", u.contentType), http.MethodPost, path, []byte(u.body))
		if err != nil {
			return err
		}
		if answer.Status < 400 || answer.Status > 499 {
			return fmt.Errorf("%s as %s: status %d: %s", strings.TrimSpace(u.body[:min(len(u.body), 20)]), u.contentType, answer.Status, brief(answer))
		}
		if err := errorShape(answer); err != nil {
			return err
		}
	}
	shown, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/products/"+product, nil)
	if err != nil {
		return err
	}
	if n := shown.Len("product", "images"); n != 0 {
		return fmt.Errorf("%d refused uploads are shown", n)
	}
	return s.uploadPicture(ctx, path)
}

// uploadPicture uploads a picture and looks at how it is served.
func (s *Session) uploadPicture(ctx context.Context, path string) error {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		return err
	}
	// A tail of script must not survive in what is served.
	picture.WriteString("<script>alert(1)</script>")
	answer, err := s.Admin.With("Content-Type", "image/png").Do(ctx, http.MethodPost, path, picture.Bytes())
	if err := okay(answer, err); err != nil {
		return fmt.Errorf("a picture: %w", err)
	}
	url := answer.String("image", "url")
	served, err := send(ctx, s.Guest, http.MethodGet, strings.TrimPrefix(url, s.Guest.URL), nil)
	if err := okay(served, err); err != nil {
		return fmt.Errorf("the picture at %s: %w", url, err)
	}
	if !strings.HasPrefix(served.Header.Get("Content-Type"), "image/") || served.Header.Get("X-Content-Type-Options") != "nosniff" {
		return fmt.Errorf("a picture is served as %q with X-Content-Type-Options %q",
			served.Header.Get("Content-Type"), served.Header.Get("X-Content-Type-Options"))
	}
	if bytes.Contains(served.Raw, []byte("<script")) {
		return errors.New("what was appended to a picture is served with it")
	}
	return nil
}
