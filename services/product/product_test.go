package product

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

func TestSlugify(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Blue Cup":                "blue-cup",
		"  Ärger & Öl – groß!  ":  "aerger-and-oel-gross",
		"Crème brûlée":            "creme-brulee",
		"It's":                    "its",
		"100 % Wolle":             "100-wolle",
		"日本":                      "fallback",
		"":                        "fallback",
		"--a--b--":                "a-b",
		strings.Repeat("ab ", 90): strings.TrimRight(strings.Repeat("ab-", 54)[:160], "-"),
	} {
		if got := Slugify(name, "fallback"); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestSlugsAreAlwaysValidAndFree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := Slugify(rapid.String().Draw(t, "name"), "product")
		taken := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "times") {
			slug := freeSlug(base, taken)
			if !validSlug(slug) || taken[slug] {
				t.Fatalf("%q from %q", slug, base)
			}
			taken[slug] = true
		}
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range maxAttributes + 1 {
		many[strings.Repeat("a", i+1)] = "x"
	}
	for name, test := range map[string]struct {
		change func(*Product)
		field  string
	}{
		"good":                {func(*Product) {}, ""},
		"no name":             {func(p *Product) { p.Name = "  " }, "name"},
		"long name":           {func(p *Product) { p.Name = strings.Repeat("ä", maxName+1) }, "name"},
		"longest name":        {func(p *Product) { p.Name = strings.Repeat("ä", maxName) }, ""},
		"broken name":         {func(p *Product) { p.Name = "a\xff" }, "name"},
		"nul":                 {func(p *Product) { p.Description = "\x00" }, "description"},
		"slug":                {func(p *Product) { p.Slug = "a--b" }, "slug"},
		"sku":                 {func(p *Product) { p.SKU = strings.Repeat("x", maxSKU+1) }, "sku"},
		"no currency":         {func(p *Product) { p.Price = money.Money{} }, "price"},
		"unknown currency":    {func(p *Product) { p.Price.CurrencyCode = "eur" }, "price.currencyCode"},
		"negative":            {func(p *Product) { p.Price.AmountMinor = -1 }, "price.amountMinor"},
		"dear":                {func(p *Product) { p.Price.AmountMinor = maxPriceMinor + 1 }, "price.amountMinor"},
		"free":                {func(p *Product) { p.Price.AmountMinor = 0 }, ""},
		"weight":              {func(p *Product) { p.WeightGrams = -1 }, "weightGrams"},
		"categories":          {func(p *Product) { p.CategoryIDs = ids(maxCategories + 1) }, "categoryIds"},
		"status":              {func(p *Product) { p.Status = "SOLD" }, "status"},
		"attributes":          {func(p *Product) { p.Attributes = many }, "attributes"},
		"attribute name":      {func(p *Product) { p.Attributes = map[string]string{"a:b": "c"} }, "attributes"},
		"attribute no name":   {func(p *Product) { p.Attributes = map[string]string{"": "c"} }, "attributes"},
		"attribute long name": {func(p *Product) { p.Attributes = map[string]string{strings.Repeat("n", maxAttribute+1): "c"} }, "attributes"},
		"attribute value":     {func(p *Product) { p.Attributes = map[string]string{"a": strings.Repeat("v", maxValue+1)} }, "attributes"},
	} {
		p := Product{Name: "Cup", Price: money.Money{CurrencyCode: "EUR", AmountMinor: 5}}
		test.change(&p)
		p.normalize()
		err := p.validate()
		switch f := fault.From(err); {
		case test.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.field != "" && (f == nil || f.Kind != fault.KindInvalidInput || f.Field != test.field):
			t.Errorf("%s: %v, want a fault on %s", name, err, test.field)
		}
	}
}

func ids(n int) []uuid.UUID {
	list := make([]uuid.UUID, n)
	for i := range list {
		list[i] = uuid.New()
	}
	return list
}

func TestNormalizeTouchesNoCallersData(t *testing.T) {
	t.Parallel()
	one := ids(1)[0]
	given := Product{Name: " Cup ", CategoryIDs: []uuid.UUID{one, one}, Attributes: map[string]string{"a": "b"}}
	p := given
	p.normalize()
	p.Attributes["c"] = "d"
	if len(given.CategoryIDs) != 2 || len(given.Attributes) != 1 || given.Name != " Cup " {
		t.Errorf("the caller's product became %+v", given)
	}
	if len(p.CategoryIDs) != 1 || p.Name != "Cup" || p.TaxClass != DefaultTaxClass || p.Status != StatusActive {
		t.Errorf("normalized %+v", p)
	}
}

func TestParseEtag(t *testing.T) {
	t.Parallel()
	for etag, want := range map[string]int64{"": 0, "*": 0, "3": 3, `"3"`: 3, `W/"3"`: 3, `"3.10.2"`: 3, "x": -1, "0": -1, "-1": -1, "3x": -1, "99999999999999999999": -1} {
		got, err := parseEtag(etag)
		if want < 0 != (err != nil) || want >= 0 && got != want {
			t.Errorf("%q is %d, %v; want %d", etag, got, err, want)
		}
		if err != nil && fault.From(err).Kind != fault.KindStale {
			t.Errorf("%q: %v is not stale", etag, err)
		}
	}
}

func TestParseOrder(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "relevance true", "relevance": "relevance true", "relevance desc": "relevance true", "name": "name false",
		"price desc": "price true", " price  asc ": "price false", "create_time": "create_time false",
		"relevance asc": "", "color": "", "name up": "", "name desc desc": "",
	} {
		key, descending, err := ParseOrder(text)
		got := ""
		if err == nil {
			got = string(key) + map[bool]string{true: " true", false: " false"}[descending]
		}
		if got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestQueryComplete(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query Query
		ok    bool
		field string
	}{
		"empty":     {Query{}, true, ""},
		"words":     {Query{Text: "a b"}, true, ""},
		"no words":  {Query{Text: "?!"}, false, ""},
		"prices":    {Query{MinPrice: 2, MaxPrice: 1}, false, "minPrice"},
		"open end":  {Query{MinPrice: 2}, true, ""},
		"broken":    {Query{Text: "\xff"}, false, "q"},
		"too long":  {Query{Text: strings.Repeat("a", 201)}, false, "q"},
		"huge page": {Query{PageSize: 1 << 20}, true, ""},
	} {
		q, ok, err := test.query.complete()
		if ok != test.ok || (test.field == "") != (err == nil) || err != nil && fault.From(err).Field != test.field {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
		if err == nil && (q.PageSize < 1 || q.PageSize > MaxPageSize || q.Status != StatusActive || q.Order == "") {
			t.Errorf("%s: completed to %+v", name, q)
		}
	}
	if words := (Query{Text: strings.Repeat("Ab,cd ", 20)}).Words(); len(words) != maxWords || words[0] != "ab" {
		t.Errorf("words %q", words)
	}
}

func TestTrap02SumDemandKeepsEveryPiece(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		products := ids(rapid.IntRange(1, 5).Draw(t, "products"))
		want := map[uuid.UUID]int32{}
		var lines []Line
		for range rapid.IntRange(1, 20).Draw(t, "lines") {
			line := Line{ProductID: rapid.SampledFrom(products).Draw(t, "product"), Quantity: rapid.Int32Range(1, 100_000).Draw(t, "quantity")}
			lines = append(lines, line)
			want[line.ProductID] += line.Quantity
		}
		demand, err := sumDemand(lines)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uuid.UUID]int32{}
		for _, line := range demand {
			got[line.ProductID] += line.Quantity
		}
		if !maps.Equal(got, want) || len(demand) != len(want) {
			t.Fatalf("demand %v, want %v", demand, want)
		}
		if !slices.IsSortedFunc(demand, func(a, b Line) int { return compareIDs(a.ProductID, b.ProductID) }) {
			t.Fatal("demand is not in id order")
		}
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	a, b := uuid.New(), uuid.New()
	lines := []Line{{a, 1}, {b, 2}}
	done := ReserveOutcome{Result: ReserveDone, Sold: Sold{ProductID: a}}
	for name, test := range map[string]struct {
		outcomes []ReserveOutcome
		want     error
	}{
		"sold":               {[]ReserveOutcome{done}, nil},
		"nothing":            {nil, errTwin},
		"twin":               {[]ReserveOutcome{{Result: ReserveShort}, {Result: ReserveRetry}}, errTwin},
		"conflict":           {[]ReserveOutcome{{Result: ReserveConflict}}, ErrReservationMismatch},
		"ended":              {[]ReserveOutcome{{Result: ReserveEnded}}, ErrReservationExpired},
		"short comes first":  {[]ReserveOutcome{{Result: ReserveShort, Sold: Sold{ProductID: b, Quantity: 2}}, {Result: ReserveMissing}}, ErrOutOfStock},
		"missing":            {[]ReserveOutcome{{Result: ReserveMissing, Sold: Sold{ProductID: b}}}, fault.NotFound("product", "")},
		"one of two missing": {[]ReserveOutcome{done, {Result: ReserveMissing, Sold: Sold{ProductID: b}}}, fault.NotFound("product", "")},
	} {
		sold, err := judge(lines, test.outcomes)
		if !errors.Is(err, test.want) || (err == nil) != (len(sold) > 0) {
			t.Errorf("%s: %v, %v; want %v", name, sold, err, test.want)
		}
	}
	if got := lineOf(lines, uuid.New()); got != 0 {
		t.Errorf("an unknown product is in line %d", got)
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	root, other := uuid.New(), uuid.New()
	branches := tree([]Category{
		{ID: uuid.New(), Name: "Z", ParentID: root, Position: 1},
		{ID: other, Name: "B", Position: 2},
		{ID: root, Name: "A", Position: 1},
		{ID: uuid.New(), Name: "Y", ParentID: root, Position: 1},
		{ID: uuid.New(), Name: "X", ParentID: root, Position: 2},
	})
	var names []string
	for _, b := range branches {
		names = append(names, b.Name)
		for _, c := range b.Children {
			names = append(names, c.Name)
		}
	}
	if got := strings.Join(names, ""); got != "AYZXB" {
		t.Errorf("tree %s", got)
	}
}

func TestForestRefusesDeepTrees(t *testing.T) {
	t.Parallel()
	f := forest{byID: map[uuid.UUID]Category{}, slugs: map[string]bool{}}
	parent := uuid.Nil
	for depth := range maxDepth + 2 {
		c := Category{ID: uuid.New(), ParentID: parent}
		if err := f.checkParent(c); (err != nil) != (depth > maxDepth) {
			t.Errorf("depth %d: %v", depth, err)
		}
		f.add(c)
		parent = c.ID
	}
}

func TestNewRefusesHalfAConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("a service without a store was made")
	}
}
