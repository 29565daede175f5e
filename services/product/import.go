package product

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// importBatch is how many products one transaction of an import takes in: long
// enough to be fast, short enough to let other changes of the catalog through.
const importBatch = 200

// Item is one product of an import file, already in our terms.
type Item struct {
	// Line of the file the item starts at, from 1.
	Line int
	// Product without id. SKU is its key; Slug, when set, is the wish for a new product.
	Product Product
	// OnHand is the quantity of a new product. Existing products keep theirs: the file is older than the sales since.
	OnHand int32
	// Categories by their names from the root. Missing ones are made.
	Categories [][]string
	// Images elsewhere, by https addresses.
	Images []Image
}

// RowError says what is wrong with one row of an import file.
type RowError struct {
	// Line of the file, from 1; 0 speaks of the whole file.
	Line int
	// Field or column.
	Field string
	// Message for people.
	Message string
}

// ImportReport says what an import did, or would have done in a dry run.
type ImportReport struct {
	// Created, Updated and Unchanged count products.
	Created, Updated, Unchanged int
	// Errors of rows, in order of lines.
	Errors []RowError
}

var errDryRun = errors.New("product: dry run")

// Import creates or updates products by SKU. Items that fail are reported and
// change nothing; the others are taken in. The same file again changes nothing.
func (s *Service) Import(ctx context.Context, items []Item, dryRun bool) (ImportReport, error) {
	var report ImportReport
	good := s.check(items, &report)
	for batch := range slices.Chunk(good, importBatch) {
		done, err := s.importTogether(ctx, batch, dryRun)
		if err != nil {
			return report, err
		}
		report.add(done)
	}
	slices.SortStableFunc(report.Errors, func(a, b RowError) int { return a.Line - b.Line })
	if dryRun || report.Created < importBatch {
		return report, nil
	}
	return report, s.store.RefreshStatistics(ctx)
}

// check returns the items that can be stored and reports the others.
func (s *Service) check(items []Item, report *ImportReport) []Item {
	good := make([]Item, 0, len(items))
	lines := make(map[string]int, len(items))
	for _, item := range items {
		item.Product.normalize()
		err := item.Product.validate()
		switch first, twice := lines[item.Product.SKU]; {
		case err != nil:
		case item.Product.SKU == "":
			err = fault.Invalid("sku", "a SKU is required, it is what a second import finds the product by")
		case twice:
			err = fault.Invalid("sku", "the SKU is in line %d too", first)
		case item.OnHand < 0 || item.OnHand > maxOnHand:
			err = fault.Invalid("stock", "a stock is between 0 and %d pieces", maxOnHand)
		case len(item.Images) > MaxImages:
			err = fault.Invalid("images", "a product has at most %d images", MaxImages)
		default:
			err = checkCategories(item.Categories)
		}
		if err != nil {
			report.Errors = append(report.Errors, rowError(item.Line, err))
			continue
		}
		lines[item.Product.SKU] = item.Line
		good = append(good, item)
	}
	return good
}

func checkCategories(paths [][]string) error {
	if len(paths) > maxCategories {
		return fault.Invalid("categories", "a product belongs to at most %d categories", maxCategories)
	}
	for _, path := range paths {
		if len(path) == 0 || len(path) > maxDepth {
			return fault.Invalid("categories", "a category is 1 to %d names deep", maxDepth)
		}
		for _, name := range path {
			c := Category{Name: name, Slug: "x"}
			if err := c.validate(); err != nil {
				return fault.Invalid("categories", "a category's name has 1 to 200 characters")
			}
		}
	}
	return nil
}

func rowError(line int, err error) RowError {
	if f := fault.From(err); f != nil {
		return RowError{Line: line, Field: f.Field, Message: f.Message}
	}
	return RowError{Line: line, Message: err.Error()}
}

func (r *ImportReport) add(other ImportReport) {
	r.Created += other.Created
	r.Updated += other.Updated
	r.Unchanged += other.Unchanged
}

// importTogether takes in checked items: what may be wrong with a row was found
// before, and the catalog's lock keeps others from making it wrong now.
func (s *Service) importTogether(ctx context.Context, items []Item, dryRun bool) (ImportReport, error) {
	var report ImportReport
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		report = ImportReport{}
		all, err := touchCategories(ctx, tx)
		if err != nil {
			return err
		}
		skus := make([]string, len(items))
		for i, item := range items {
			skus[i] = item.Product.SKU
		}
		known, err := tx.ProductsBySKU(ctx, skus)
		if err != nil {
			return err
		}
		run := &importRun{service: s, tx: tx, forest: all, known: known}
		if err := run.all(ctx, items); err != nil {
			return err
		}
		report = run.report
		if dryRun {
			return errDryRun
		}
		return tx.Publish(ctx, run.events...)
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return report, err
}

// importRun is one transaction of an import.
type importRun struct {
	service *Service
	tx      Tx
	forest  forest
	known   map[string]Product
	created []Product
	events  []Event
	report  ImportReport
}

func (r *importRun) all(ctx context.Context, items []Item) error {
	for _, item := range items {
		categoryIDs, err := r.categories(ctx, item.Categories)
		if err != nil {
			return err
		}
		item.Product.CategoryIDs = categoryIDs
		if old, ok := r.known[item.Product.SKU]; ok {
			err = r.update(ctx, old, item)
		} else {
			err = r.create(item)
		}
		if err != nil {
			return err
		}
	}
	if err := r.slugs(ctx); err != nil {
		return err
	}
	return r.tx.InsertProducts(ctx, r.created, "import")
}

func (r *importRun) create(item Item) error {
	id, err := newID()
	if err != nil {
		return err
	}
	p := item.Product
	p.ID, p.Version, p.Stock = id, 1, Stock{OnHand: item.OnHand}
	p.CreateTime = r.service.time()
	p.UpdateTime = p.CreateTime
	if p.Images, err = placed(item.Images); err != nil {
		return err
	}
	if p.Slug == "" {
		p.Slug = Slugify(p.Name, "product")
	}
	r.created = append(r.created, p)
	r.events = append(r.events, Changed(id))
	r.report.Created++
	return nil
}

// slugs makes the slugs of new products unique. The catalog's lock is held, so what is free stays free.
func (r *importRun) slugs(ctx context.Context) error {
	stems := make([]string, len(r.created))
	for i, p := range r.created {
		stems[i] = p.Slug
	}
	taken, err := r.tx.TakenSlugs(ctx, stems)
	if err != nil {
		return err
	}
	for i := range r.created {
		r.created[i].Slug = freeSlug(r.created[i].Slug, taken)
		taken[r.created[i].Slug] = true
	}
	return nil
}

func (r *importRun) update(ctx context.Context, old Product, item Item) error {
	p := old
	from := item.Product
	p.Name, p.Description, p.Price, p.TaxClass = from.Name, from.Description, from.Price, from.TaxClass
	p.Status, p.WeightGrams, p.GroupKey, p.Attributes = from.Status, from.WeightGrams, from.GroupKey, from.Attributes
	if len(item.Categories) > 0 {
		p.CategoryIDs = from.CategoryIDs
	}
	item.Images = withTexts(item.Images, old.Images)
	images := len(item.Images) > 0 && !sameImages(old.Images, item.Images)
	if !images && sameProduct(old, p) {
		r.report.Unchanged++
		return nil
	}
	p.Version++
	p.UpdateTime = r.service.time()
	if err := r.tx.UpdateProduct(ctx, p); err != nil {
		return err
	}
	if images {
		external, err := placed(item.Images)
		if err != nil {
			return err
		}
		if err := r.tx.ReplaceExternalImages(ctx, p.ID, external, p.UpdateTime); err != nil {
			return err
		}
	}
	r.events = append(r.events, Changed(p.ID))
	r.report.Updated++
	return nil
}

func sameProduct(a, b Product) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Price == b.Price && a.TaxClass == b.TaxClass &&
		a.Status == b.Status && a.WeightGrams == b.WeightGrams && a.GroupKey == b.GroupKey &&
		maps.Equal(a.Attributes, b.Attributes) && slices.Equal(a.CategoryIDs, b.CategoryIDs)
}

// withTexts keeps the alternative texts of images that the file names without one: not every format has a column for it.
func withTexts(wanted, old []Image) []Image {
	out := slices.Clone(wanted)
	for i, image := range out {
		known := slices.IndexFunc(old, func(o Image) bool { return o.ExternalURL == image.ExternalURL })
		if image.Alt == "" && known >= 0 {
			out[i].Alt = old[known].Alt
		}
	}
	return out
}

// sameImages compares the external images; uploaded ones are not the import's.
func sameImages(old, wanted []Image) bool {
	external := slices.DeleteFunc(slices.Clone(old), func(i Image) bool { return i.ExternalURL == "" })
	return slices.EqualFunc(external, wanted, func(a, b Image) bool { return a.ExternalURL == b.ExternalURL && a.Alt == b.Alt })
}

func placed(images []Image) ([]Image, error) {
	out := slices.Clone(images)
	for i := range out {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		out[i].ID, out[i].Position = id, int32(i)
	}
	return out, nil
}

// categories returns the ids of paths of names, making what is missing.
func (r *importRun) categories(ctx context.Context, paths [][]string) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for _, path := range paths {
		parent := uuid.Nil
		for _, name := range path {
			id, err := r.child(ctx, parent, strings.TrimSpace(name))
			if err != nil {
				return nil, err
			}
			parent = id
		}
		ids = append(ids, parent)
	}
	ids = slices.SortedFunc(slices.Values(ids), compareIDs)
	return slices.Compact(ids), nil
}

func (r *importRun) child(ctx context.Context, parent uuid.UUID, name string) (uuid.UUID, error) {
	position := int32(0)
	for _, c := range r.forest.byID {
		if c.ParentID != parent {
			continue
		}
		if strings.EqualFold(c.Name, name) {
			return c.ID, nil
		}
		position = max(position, c.Position+1)
	}
	id, err := newID()
	if err != nil {
		return uuid.Nil, err
	}
	now := r.service.time()
	c := Category{
		ID: id, Name: name, Slug: freeSlug(Slugify(name, "category"), r.forest.slugs), ParentID: parent,
		Position: position, Version: 1, CreateTime: now, UpdateTime: now,
	}
	if err := r.tx.InsertCategory(ctx, c); err != nil {
		return uuid.Nil, err
	}
	r.forest.add(c)
	return id, nil
}

// exportPage is how many products an export reads at once.
const exportPage = 500

// Export calls take with every product that is not deleted, oldest first, some at a time.
func (s *Service) Export(ctx context.Context, take func([]Product) error) error {
	after := uuid.Nil
	for {
		products, err := s.store.ProductsAfter(ctx, after, exportPage)
		if err != nil {
			return err
		}
		if len(products) > 0 {
			if err := take(products); err != nil {
				return err
			}
			after = products[len(products)-1].ID
		}
		if len(products) < exportPage {
			return nil
		}
	}
}
