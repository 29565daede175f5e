package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/store"
)

func TestUpdateFields(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.category(t, "Home", uuid.Nil)
	p := b.create(t, product.Product{Name: "Cup", SKU: "A", CategoryIDs: []uuid.UUID{c.ID}}, 3)
	other := b.create(t, product.Product{Name: "Other", SKU: "B"}, 0)
	update := func(fields []string, to product.Product) (product.Product, error) {
		return b.service.Update(t.Context(), product.UpdateInput{ID: p.ID, Fields: fields, Product: to})
	}
	everything := product.Product{
		Name: "Mug", Slug: "mug", SKU: "C", Description: "d", Price: eur(7), TaxClass: "reduced", Status: product.StatusArchived,
		WeightGrams: 9, GroupKey: "g", Attributes: map[string]string{"a": "b"},
	}
	got, err := update([]string{"*"}, everything)
	if err != nil || got.Name != "Mug" || got.Slug != "mug" || got.SKU != "C" || got.Price != eur(7) || got.TaxClass != "reduced" ||
		got.Status != product.StatusArchived || got.WeightGrams != 9 || got.GroupKey != "g" || got.Attributes["a"] != "b" ||
		len(got.CategoryIDs) != 0 || got.Version != 2 || got.Stock.OnHand != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	// Fields of the server's own may come along and change nothing.
	if got, err = update([]string{"name", "id", "etag", "images", "create_time"}, product.Product{Name: "Jug"}); err != nil || got.Name != "Jug" || got.SKU != "C" {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, test := range map[string]struct {
		fields []string
		to     product.Product
		field  string
	}{
		"unknown field":    {[]string{"color"}, product.Product{}, "updateMask"},
		"stock":            {[]string{"stock.on_hand"}, product.Product{}, "stock"},
		"no slug":          {[]string{"slug"}, product.Product{}, "slug"},
		"no name":          {[]string{"name"}, product.Product{}, "name"},
		"foreign currency": {[]string{"price"}, product.Product{Price: usd(5)}, "price.currencyCode"},
		"taken sku":        {[]string{"sku"}, product.Product{SKU: other.SKU}, "sku"},
		"taken slug":       {[]string{"slug"}, product.Product{Slug: other.Slug}, "slug"},
		"no such category": {[]string{"category_ids"}, product.Product{CategoryIDs: []uuid.UUID{uuid.New()}}, "categoryIds"},
	} {
		if _, err := update(test.fields, test.to); fault.From(err) == nil || fault.From(err).Field != test.field {
			t.Errorf("%s: %v, want a fault on %s", name, err, test.field)
		}
	}
	if _, err := b.service.Update(t.Context(), product.UpdateInput{ID: uuid.New()}); fault.From(err) == nil || fault.From(err).Kind != fault.KindNotFound {
		t.Errorf("unknown product: %v", err)
	}
	if err := b.service.Delete(t.Context(), p.ID, "1"); fault.From(err) == nil || fault.From(err).Kind != fault.KindStale {
		t.Errorf("deleting an old version: %v", err)
	}
	if err := b.service.Delete(t.Context(), p.ID, "*"); err != nil {
		t.Error(err)
	}
}

func TestConcurrentUpdatesOfOneVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, product.Product{Name: "Cup"}, 0)
	var group sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		group.Go(func() {
			_, results[i] = b.service.Update(t.Context(), product.UpdateInput{
				ID: p.ID, Fields: []string{"name"}, Product: product.Product{Name: fmt.Sprint("Cup ", i)}, Etag: p.Etag(),
			})
		})
	}
	group.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if f := fault.From(err); f == nil || f.Kind != fault.KindStale {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 updates of the same version won", won)
	}
}

func TestConcurrentCreatesGetSlugsOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() {
			if _, err := b.service.Create(t.Context(), product.CreateInput{ID: uuid.New(), Product: product.Product{Name: "Same", Price: eur(1)}}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if _, err := b.service.GetBySlug(t.Context(), "same-12", false); err != nil {
		t.Error(err)
	}
}

// crashing stores the picture and then loses the caller once.
type crashing struct {
	cancel context.CancelFunc
	calls  int
}

func (c *crashing) Put(context.Context, []byte) (product.Picture, error) {
	c.calls++
	if c.calls == 1 {
		c.cancel()
	}
	return product.Picture{Key: "k", ThumbnailKey: "t"}, nil
}

func TestRepeatAfterACrashHasOneEffect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := uuid.New()
	create := product.CreateInput{ID: id, Product: product.Product{Name: "Once", Price: eur(1)}, OnHand: 5}
	for range 2 {
		if got, err := b.service.Create(t.Context(), create); err != nil || got.ID != id || got.Stock.OnHand != 5 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	pictures := &crashing{cancel: cancel}
	service, err := product.New(product.Config{Store: b.store, Pictures: pictures, Currency: "EUR", Now: func() time.Time { return *b.now }})
	if err != nil {
		t.Fatal(err)
	}
	image := product.AddImageInput{ID: uuid.New(), ProductID: id, Data: []byte("x")}
	if _, err := service.AddImage(ctx, image); err == nil {
		t.Fatal("the crash had no effect")
	}
	for range 2 {
		if _, err := service.AddImage(t.Context(), image); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.store.ProductByID(t.Context(), id)
	if err != nil || len(p.Images) != 1 {
		t.Errorf("%d images, %v", len(p.Images), err)
	}
	c := product.Category{ID: uuid.New(), Name: "Home"}
	for range 2 {
		if got, err := b.service.CreateCategory(t.Context(), c); err != nil || got.Slug != "home" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	b.checkLedger(t)
}

func TestImagesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, product.Product{Name: "Cup"}, 0)
	for i := range product.MaxImages + 1 {
		image, err := b.service.AddImage(t.Context(), product.AddImageInput{ID: uuid.New(), ProductID: p.ID, Data: []byte("x")})
		if (err != nil) != (i == product.MaxImages) {
			t.Fatalf("image %d: %v", i, err)
		}
		if err == nil && int(image.Position) != i {
			t.Errorf("image %d is at %d", i, image.Position)
		}
	}
	if _, err := b.service.AddImage(t.Context(), product.AddImageInput{ID: uuid.New(), ProductID: p.ID, Alt: strings.Repeat("a", 301)}); fault.From(err) == nil || fault.From(err).Field != "alt" {
		t.Errorf("long text: %v", err)
	}
}

func TestPicturesNeedTheirStore(t *testing.T) {
	t.Parallel()
	objects, err := objectstore.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pictures := store.NewPictures(objects)
	if _, err := pictures.Put(t.Context(), make([]byte, 9<<20)); fault.From(err) == nil || fault.From(err).Field != "image" {
		t.Errorf("too large: %v", err)
	}
	if err := objects.Close(); err != nil {
		t.Fatal(err)
	}
	gif := "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
	if _, err := pictures.Put(t.Context(), []byte(gif)); fault.From(err) == nil || fault.From(err).Kind != fault.KindUnavailable {
		t.Errorf("a closed store: %v", err)
	}
}

func TestImportReportsWhatItRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var items []product.Item
	for i := range 9 {
		items = append(items, product.Item{Line: i + 2, Product: product.Product{Name: fmt.Sprint("Thing ", i), SKU: fmt.Sprint("S", i), Price: eur(5)}})
	}
	items[4].Categories = [][]string{strings.Split(strings.Repeat("a/", 16)+"a", "/")}
	items[6].Images = make([]product.Image, product.MaxImages+1)
	items[7].OnHand = -1
	items[8].Product.SKU = ""
	report, err := b.service.Import(t.Context(), items, false)
	if err != nil || report.Created != 5 || len(report.Errors) != 4 {
		t.Fatalf("%+v, %v", report, err)
	}
	for i, want := range []struct {
		line  int
		field string
	}{{6, "categories"}, {8, "images"}, {9, "stock"}, {10, "sku"}} {
		if got := report.Errors[i]; got.Line != want.line || got.Field != want.field || got.Message == "" {
			t.Errorf("error %d is %+v, want %+v", i, got, want)
		}
	}
}

func TestImportUpdatesWhatDiffers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	item := product.Item{
		Line: 2, OnHand: 4, Categories: [][]string{{"Home", "Cups"}}, Images: []product.Image{{ExternalURL: "https://img.example/1.jpg"}},
		Product: product.Product{Name: "Cup", SKU: "S", Price: usd(5)},
	}
	run := func(want product.ImportReport) {
		t.Helper()
		got, err := b.service.Import(t.Context(), []product.Item{item}, false)
		if err != nil || got.Created != want.Created || got.Updated != want.Updated || got.Unchanged != want.Unchanged {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	}
	run(product.ImportReport{Created: 1})
	run(product.ImportReport{Unchanged: 1})
	item.Images = []product.Image{{ExternalURL: "https://img.example/2.jpg", Alt: "Side"}, {ExternalURL: "https://img.example/3.jpg"}}
	run(product.ImportReport{Updated: 1})
	item.Images[0].Alt = "" // a format without alternative texts
	run(product.ImportReport{Unchanged: 1})
	item.Categories = [][]string{{"home", "CUPS"}} // the same categories
	run(product.ImportReport{Unchanged: 1})
	item.Categories = [][]string{{"Kitchen"}}
	run(product.ImportReport{Updated: 1})
	item.Categories, item.Images, item.OnHand = nil, nil, 99 // silent about them
	run(product.ImportReport{Unchanged: 1})
	p, err := b.service.GetBySlug(t.Context(), "cup", false)
	if err != nil || len(p.Images) != 2 || len(p.CategoryIDs) != 1 || p.Stock.OnHand != 4 {
		t.Errorf("%+v, %v", p, err)
	}
	// A price that came in another currency does not stop other changes, but nobody sets it by hand.
	if _, err := b.service.Update(t.Context(), product.UpdateInput{ID: p.ID, Fields: []string{"name"}, Product: product.Product{Name: "Mug"}}); err != nil {
		t.Error(err)
	}
	all, err := b.service.AllCategories(t.Context())
	if err != nil || len(all) != 3 {
		t.Errorf("%d categories, %v", len(all), err)
	}
	failed := errors.New("disk full")
	if err := b.service.Export(t.Context(), func([]product.Product) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("a writer's failure is lost: %v", err)
	}
}

func TestImportTellsThePlanner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bulk(t, b, 200)
	var rows float64
	if err := b.db.Pool().QueryRow(t.Context(), `SELECT reltuples FROM pg_class WHERE oid = 'product'::regclass`).Scan(&rows); err != nil || rows != 200 {
		t.Errorf("the planner counts %v products, %v", rows, err)
	}
}

func TestCategorySlugsAreUniqueInTheDatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := b.category(t, "Home", uuid.Nil)
	err := b.store.InTx(t.Context(), func(ctx context.Context, tx product.Tx) error {
		return tx.InsertCategory(ctx, product.Category{ID: uuid.New(), Slug: home.Slug, Name: "x", Version: 1})
	})
	if !errors.Is(err, product.ErrAlreadyExists) {
		t.Errorf("a second slug: %v", err)
	}
	err = b.store.InTx(t.Context(), func(ctx context.Context, tx product.Tx) error {
		home.ParentID, home.Version = home.ID, 2
		return tx.UpdateCategory(ctx, home)
	})
	if !errors.Is(err, product.ErrCategoryCycle) {
		t.Errorf("its own parent: %v", err)
	}
}
