package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/product"
)

func (b *bench) list(t testing.TB, q product.Query) []string {
	t.Helper()
	page, err := b.service.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return names(page.Products)
}

func names(products []product.Product) []string {
	list := make([]string, len(products))
	for i, p := range products {
		list[i] = p.Name
	}
	return list
}

func (b *bench) category(t testing.TB, name string, parent uuid.UUID) product.Category {
	t.Helper()
	c, err := b.service.CreateCategory(t.Context(), product.Category{ID: uuid.Must(uuid.NewV7()), Name: name, ParentID: parent})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSearch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, p := range []product.Product{
		{Name: "Mechanical Keyboard", Description: "With brown switches and a cable.", SKU: "KB-77"},
		{Name: "Keyboard Tray", Description: "Slides below the desk."},
		{Name: "Desk Lamp", Description: "A lamp with a keyboard of touch keys."},
		{Name: "Running Shoes", Attributes: map[string]string{"color": "turquoise"}},
		{Name: "Küchenmesser", Description: "Scharf."},
		{Name: "Hidden Keyboard", Status: product.StatusDraft},
	} {
		b.create(t, p, 1)
	}
	for text, want := range map[string][]string{
		"keyboard":                  {"Keyboard Tray", "Mechanical Keyboard", "Desk Lamp"},
		"keyb":                      {"Keyboard Tray", "Mechanical Keyboard", "Desk Lamp"}, // a prefix
		"KEYBOARD tray":             {"Keyboard Tray"},
		"mechanical keyb":           {"Mechanical Keyboard"},
		"kb-77":                     {"Mechanical Keyboard"},
		"keybord":                   {"Keyboard Tray", "Mechanical Keyboard"}, // a letter lost
		"kyeboard":                  {"Keyboard Tray", "Mechanical Keyboard"}, // two letters swapped
		"lamps":                     {"Desk Lamp"},                            // another form
		"run":                       {"Running Shoes"},
		"turquoise":                 {"Running Shoes"},
		"küchen":                    {"Küchenmesser"},
		"switches":                  {"Mechanical Keyboard"},
		"zeppelin":                  {},
		"!!!":                       {},
		"' OR 1=1 --":               {},
		"a & | ! <-> :* ( \\ '":     {},
		"% _ \\":                    {},
		strings.Repeat("word ", 40): {},
	} {
		got := b.list(t, product.Query{Text: text})
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
	}
	if got := b.list(t, product.Query{Text: "keyboard"}); got[2] != "Desk Lamp" {
		t.Errorf("a name counts less than a description: %q", got)
	}
	if got := b.list(t, product.Query{Text: "keyboard", Order: product.OrderName}); got[0] != "Desk Lamp" {
		t.Errorf("hits by name: %q", got)
	}
	if got := b.list(t, product.Query{Status: product.StatusDraft}); !slices.Equal(got, []string{"Hidden Keyboard"}) {
		t.Errorf("drafts: %q", got)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := b.category(t, "Home", uuid.Nil)
	lamps := b.category(t, "Lamps", home.ID)
	desk := b.category(t, "Desk Lamps", lamps.ID)
	b.create(t, product.Product{Name: "A", Price: eur(100), CategoryIDs: []uuid.UUID{home.ID}, Attributes: map[string]string{"color": "red", "size": "S"}}, 1)
	b.create(t, product.Product{Name: "B", Price: eur(200), CategoryIDs: []uuid.UUID{desk.ID, lamps.ID}, Attributes: map[string]string{"color": "blue", "size": "S"}}, 0)
	b.create(t, product.Product{Name: "C", Price: eur(300), Attributes: map[string]string{"color": "green", "size": "L", `qu"ote`: `va'l\ue`}}, 1)
	for name, test := range map[string]struct {
		query product.Query
		want  []string
	}{
		"all":               {product.Query{}, []string{"A", "B", "C"}},
		"root category":     {product.Query{CategoryID: home.ID}, []string{"A", "B"}},
		"leaf category":     {product.Query{CategoryID: desk.ID}, []string{"B"}},
		"unknown category":  {product.Query{CategoryID: uuid.New()}, nil},
		"from":              {product.Query{MinPrice: 200}, []string{"B", "C"}},
		"to":                {product.Query{MaxPrice: 200}, []string{"A", "B"}},
		"between":           {product.Query{MinPrice: 150, MaxPrice: 250}, []string{"B"}},
		"in stock":          {product.Query{InStock: true}, []string{"A", "C"}},
		"either color":      {product.Query{Attributes: map[string][]string{"color": {"red", "blue"}}}, []string{"A", "B"}},
		"color and size":    {product.Query{Attributes: map[string][]string{"color": {"red", "green"}, "size": {"L"}}}, []string{"C"}},
		"hostile attribute": {product.Query{Attributes: map[string][]string{`qu"ote`: {`va'l\ue`}}}, []string{"C"}},
		"all at once":       {product.Query{Text: "a", CategoryID: home.ID, MinPrice: 1, MaxPrice: 900, InStock: true, Attributes: map[string][]string{"size": {"S"}}}, []string{"A"}},
	} {
		got := b.list(t, withOrder(test.query, product.OrderName, false))
		if !slices.Equal(got, test.want) && len(got)+len(test.want) > 0 {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func withOrder(q product.Query, key product.OrderKey, descending bool) product.Query {
	q.Order, q.Descending = key, descending
	return q
}

func TestPagesOfEveryOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const total = 23
	for i := range total {
		// Few different names, prices and times, so that ids must break ties.
		*b.now = b.now.Add(time.Duration(i%3) * time.Second)
		b.create(t, product.Product{Name: fmt.Sprintf("Thing %c", 'a'+i%4), Price: eur(int64(100 * (i % 5)))}, 1)
	}
	for _, key := range []product.OrderKey{product.OrderRelevance, product.OrderName, product.OrderPrice, product.OrderCreateTime} {
		for _, descending := range []bool{false, true} {
			for _, text := range []string{"", "thing"} {
				if key == product.OrderRelevance && !descending {
					continue
				}
				query := withOrder(product.Query{Text: text, PageSize: 4}, key, descending)
				var all []product.Product
				for page := 0; ; page++ {
					got, err := b.service.List(t.Context(), query)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, got.Products...)
					if got.Next == nil {
						break
					}
					if page > total {
						t.Fatal("the list has no end")
					}
					query.After = throughJSON(t, got.Next)
				}
				checkOrder(t, fmt.Sprintf("%s %t %q", key, descending, text), key, descending, all, total)
			}
		}
	}
}

// throughJSON is what a page token does to a cursor.
func throughJSON(t testing.TB, c *product.Cursor) *product.Cursor {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var out product.Cursor
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func checkOrder(t testing.TB, name string, key product.OrderKey, descending bool, all []product.Product, total int) {
	t.Helper()
	seen := map[uuid.UUID]bool{}
	for i, p := range all {
		seen[p.ID] = true
		if i == 0 {
			continue
		}
		before := all[i-1]
		compared := map[product.OrderKey]int{
			product.OrderName:       strings.Compare(before.Name, p.Name),
			product.OrderPrice:      int(before.Price.AmountMinor - p.Price.AmountMinor),
			product.OrderCreateTime: before.CreateTime.Compare(p.CreateTime),
		}[key]
		if descending && compared < 0 || !descending && compared > 0 {
			t.Errorf("%s: %q comes after %q", name, p.Name, before.Name)
		}
	}
	if len(seen) != total || len(all) != total {
		t.Errorf("%s: %d products, %d of them different, want %d", name, len(all), len(seen), total)
	}
}

func TestTrap27ListIsAFixedNumberOfQueries(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	root := b.category(t, "Root", uuid.Nil)
	for i := range 60 {
		p := b.create(t, product.Product{Name: fmt.Sprintf("Thing %d", i), CategoryIDs: []uuid.UUID{root.ID}}, 1)
		if _, err := b.service.AddImage(t.Context(), product.AddImageInput{ID: uuid.New(), ProductID: p.ID, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{1, 20, 50} {
		for _, q := range []product.Query{{}, {Text: "thing"}, {Text: "thng"}, {CategoryID: root.ID, InStock: true, Order: product.OrderPrice}} {
			q.PageSize = size
			n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
				page, err := b.service.List(ctx, q)
				if err != nil || len(page.Products) != size || len(page.Products[0].Images) != 1 || len(page.Products[0].CategoryIDs) != 1 {
					t.Errorf("page of %d: %d products, %v", size, len(page.Products), err)
				}
			})
			if n != 1 {
				t.Errorf("a page of %d costs %d queries, want 1", size, n)
			}
		}
	}
	for name, call := range map[string]func(context.Context) error{
		"facets": func(ctx context.Context) error { _, err := b.service.Facets(ctx, product.Query{}); return err },
		"tree":   func(ctx context.Context) error { _, err := b.service.Tree(ctx); return err },
		"one":    func(ctx context.Context) error { _, err := b.service.GetBySlug(ctx, "thing-1", false); return err },
		"batch":  func(ctx context.Context) error { _, err := b.service.BatchGet(ctx, []uuid.UUID{root.ID}); return err },
	} {
		if n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
			if err := call(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}); n != 1 {
			t.Errorf("%s costs %d queries, want 1", name, n)
		}
	}
}

func TestFacets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := b.category(t, "Home", uuid.Nil)
	for i, price := range []int64{500, 1000, 1500, 999_999} {
		p := product.Product{Name: fmt.Sprintf("Lamp %d", i), Price: eur(price), Attributes: map[string]string{"color": []string{"red", "blue"}[i/3]}}
		if i < 2 {
			p.CategoryIDs = []uuid.UUID{home.ID}
		}
		b.create(t, p, 1)
	}
	b.create(t, product.Product{Name: "Other", Price: eur(1)}, 0)
	facets, err := b.service.Facets(t.Context(), product.Query{Text: "lamp"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range facets {
		for _, v := range f.Values {
			value := strings.ReplaceAll(v.Value, home.ID.String(), "HOME")
			got = append(got, fmt.Sprintf("%s %s (%s) %d", f.Name, value, v.Label, v.Count))
		}
	}
	want := []string{
		"category HOME (Home) 2",
		"price 0-999 (0.00 – 9.99 EUR) 1", "price 1000-2499 (10.00 – 24.99 EUR) 2", "price 100000- (from 1000.00 EUR) 1",
		"color red (red) 3", "color blue (blue) 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("facets\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCategoriesHaveNoCycleUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for round := range 10 {
		one := b.category(t, fmt.Sprintf("One %d", round), uuid.Nil)
		two := b.category(t, fmt.Sprintf("Two %d", round), uuid.Nil)
		var group sync.WaitGroup
		results := make([]error, 2)
		for i, move := range [][2]uuid.UUID{{one.ID, two.ID}, {two.ID, one.ID}} {
			group.Go(func() {
				_, results[i] = b.service.UpdateCategory(t.Context(), product.UpdateCategoryInput{
					ID: move[0], Fields: []string{"parent_id"}, Category: product.Category{ParentID: move[1]},
				})
			})
		}
		group.Wait()
		if (results[0] == nil) == (results[1] == nil) {
			t.Fatalf("two moves that close a cycle together: %v and %v", results[0], results[1])
		}
	}
	// Whoever goes past the service meets the trigger.
	var loops sync.WaitGroup
	a, c := b.category(t, "A", uuid.Nil), b.category(t, "C", uuid.Nil)
	failures := make([]error, 2)
	for i, move := range [][2]uuid.UUID{{a.ID, c.ID}, {c.ID, a.ID}} {
		loops.Go(func() {
			_, failures[i] = b.db.Pool().Exec(t.Context(), `UPDATE category SET parent_id = $2 WHERE id = $1`, move[0], move[1])
		})
	}
	loops.Wait()
	if (failures[0] == nil) == (failures[1] == nil) {
		t.Errorf("raw moves: %v and %v", failures[0], failures[1])
	}
}

func TestDatabaseRefusesForeignWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, sql := range []string{
		"CREATE TABLE product.mine (id int)",
		"DROP TABLE product.product",
		"ALTER TABLE stock_level DROP CONSTRAINT stock_level_reserved_check",
		"ALTER TABLE stock_entry DISABLE TRIGGER ALL",
		"TRUNCATE stock_entry",
		"CREATE TABLE public.mine (id int)",
		"CREATE SCHEMA mine",
	} {
		if _, err := b.db.Pool().Exec(t.Context(), sql); err == nil {
			t.Errorf("the component's role may %s", sql)
		}
	}
	two := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"}, pgtest.Schema{Component: "product"})
	db := two.DB(t, "product")
	if _, err := db.Pool().Exec(t.Context(), `INSERT INTO "order".inbox (subscriber, event_id) VALUES ('x', gen_random_uuid())`); err == nil {
		t.Error("the product component writes into the order component's schema")
	}
}

func BenchmarkList(bm *testing.B) {
	b := newBench(bm)
	bulk(bm, b, 10_000)
	for name, q := range map[string]product.Query{
		"newest": {}, "price": {Order: product.OrderPrice}, "search": {Text: "lamp"}, "search two words": {Text: "blue lamp"},
		"typo": {Text: "lmap"}, "attribute": {Attributes: map[string][]string{"color": {"blue"}}}, "in stock by name": {InStock: true, Order: product.OrderName},
	} {
		bm.Run(name, func(bm *testing.B) {
			for bm.Loop() {
				if _, err := b.service.List(bm.Context(), q); err != nil {
					bm.Fatal(err)
				}
			}
		})
	}
	bm.Run("facets", func(bm *testing.B) {
		for bm.Loop() {
			if _, err := b.service.Facets(bm.Context(), product.Query{}); err != nil {
				bm.Fatal(err)
			}
		}
	})
}

// bulk imports n products.
func bulk(t testing.TB, b *bench, n int) {
	t.Helper()
	items := make([]product.Item, n)
	for i := range items {
		color := []string{"red", "blue", "green", "white"}[i%4]
		kind := []string{"Lamp", "Chair", "Table", "Mug", "Shelf", "Clock", "Rug", "Bottle"}[i%8]
		items[i] = product.Item{Line: i + 2, OnHand: int32(i % 7), Categories: [][]string{{"Home", kind + "s"}}, Product: product.Product{
			Name: fmt.Sprintf("%s %s %d", color, kind, i), SKU: fmt.Sprintf("SKU-%d", i), Price: eur(int64(500 + i%9000)),
			Description: "A thing that people put into their homes.", Attributes: map[string]string{"color": color},
		}}
	}
	report, err := b.service.Import(t.Context(), items, false)
	if err != nil || report.Created != n {
		t.Fatalf("%+v, %v", report, err)
	}
}
