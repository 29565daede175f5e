package product

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Category groups products in a tree.
type Category struct {
	// ID is a UUIDv7.
	ID uuid.UUID
	// Slug names the category in URLs; it is unique.
	Slug string
	// Name for people.
	Name string
	// ParentID is the zero UUID for a root.
	ParentID uuid.UUID
	// Position among its siblings.
	Position int32
	// Version counts changes, from 1.
	Version int64
	// CreateTime and UpdateTime of the row.
	CreateTime, UpdateTime time.Time
}

// Etag is the version as text.
func (c Category) Etag() string { return strconv.FormatInt(c.Version, 10) }

// Branch is a category with its descendants.
type Branch struct {
	// Category at the root of the branch.
	Category
	// Children in order.
	Children []Branch
}

func (c *Category) validate() error {
	c.Name = strings.TrimSpace(c.Name)
	if c.Name == "" {
		return fault.Invalid("name", "a name is required")
	}
	if err := checkText("name", c.Name, 200); err != nil {
		return err
	}
	if c.Slug == "" || !validSlug(c.Slug) {
		return fault.Invalid("slug", "a slug has lower case letters, digits and single dashes only").WithField("slug", c.Slug)
	}
	return nil
}

// Tree returns the root categories in order, each with its descendants.
func (s *Service) Tree(ctx context.Context) ([]Branch, error) {
	categories, err := s.store.Categories(ctx)
	if err != nil {
		return nil, err
	}
	return tree(categories), nil
}

// AllCategories returns the categories in no order.
func (s *Service) AllCategories(ctx context.Context) ([]Category, error) {
	return s.store.Categories(ctx)
}

func tree(categories []Category) []Branch {
	children := make(map[uuid.UUID][]Category, len(categories))
	for _, c := range categories {
		children[c.ParentID] = append(children[c.ParentID], c)
	}
	var grow func(parent uuid.UUID) []Branch
	grow = func(parent uuid.UUID) []Branch {
		siblings := children[parent]
		slices.SortFunc(siblings, func(a, b Category) int {
			return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Name, b.Name), compareIDs(a.ID, b.ID))
		})
		branches := make([]Branch, len(siblings))
		for i, c := range siblings {
			branches[i] = Branch{Category: c, Children: grow(c.ID)}
		}
		return branches
	}
	return grow(uuid.Nil)
}

// CreateCategory adds a category. The same id again returns what was made the first time.
func (s *Service) CreateCategory(ctx context.Context, c Category) (Category, error) {
	derived := c.Slug == ""
	if derived {
		c.Slug = Slugify(c.Name, "category")
	}
	if err := c.validate(); err != nil {
		return Category{}, err
	}
	c.Version = 1
	c.CreateTime = s.time()
	c.UpdateTime = c.CreateTime
	made := c
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		all, err := touchCategories(ctx, tx)
		if err != nil {
			return err
		}
		if old, ok := all.byID[c.ID]; ok {
			made = old
			return nil
		}
		made = c
		if err := all.checkParent(c); err != nil {
			return err
		}
		if derived {
			made.Slug = freeSlug(c.Slug, all.slugs)
		} else if all.slugs[c.Slug] {
			return Taken("slug", c.Slug)
		}
		return tx.InsertCategory(ctx, made)
	})
	return made, err
}

// UpdateCategoryInput changes a category.
type UpdateCategoryInput struct {
	// ID of the category.
	ID uuid.UUID
	// Fields to take from Category, in snake_case.
	Fields []string
	// Category with the new values.
	Category Category
	// Etag the category must still have; empty means any.
	Etag string
}

// UpdateCategory changes the named fields of a category. It never becomes its own ancestor.
func (s *Service) UpdateCategory(ctx context.Context, input UpdateCategoryInput) (Category, error) {
	version, err := parseEtag(input.Etag)
	if err != nil {
		return Category{}, err
	}
	var updated Category
	err = s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		all, err := touchCategories(ctx, tx)
		if err != nil {
			return err
		}
		c, ok := all.byID[input.ID]
		if !ok {
			return NotFoundCategory(input.ID.String())
		}
		if version != 0 && version != c.Version {
			return errStale
		}
		slug := c.Slug
		if err := c.apply(input); err != nil {
			return err
		}
		if err := c.validate(); err != nil {
			return err
		}
		if c.Slug != slug && all.slugs[c.Slug] {
			return Taken("slug", c.Slug)
		}
		if err := all.checkParent(c); err != nil {
			return err
		}
		c.Version++
		c.UpdateTime = s.time()
		updated = c
		return tx.UpdateCategory(ctx, c)
	})
	return updated, err
}

func (c *Category) apply(input UpdateCategoryInput) error {
	for _, field := range input.Fields {
		all := field == "*"
		switch {
		case all || field == "slug":
			c.Slug = input.Category.Slug
		case field == "name", field == "parent_id", field == "position":
		case field == "id", field == "etag", field == "children":
		default:
			return fault.Invalid("updateMask", "the category has no field of this name").WithField("updateMask", field)
		}
		if all || field == "name" {
			c.Name = input.Category.Name
		}
		if all || field == "parent_id" {
			c.ParentID = input.Category.ParentID
		}
		if all || field == "position" {
			c.Position = input.Category.Position
		}
	}
	return nil
}

// DeleteCategory removes a category without children; its products stay.
func (s *Service) DeleteCategory(ctx context.Context, id uuid.UUID) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		all, err := touchCategories(ctx, tx)
		if err != nil {
			return err
		}
		if _, ok := all.byID[id]; !ok {
			return NotFoundCategory(id.String())
		}
		for _, c := range all.byID {
			if c.ParentID == id {
				return ErrCategoryNotEmpty
			}
		}
		return tx.DeleteCategory(ctx, id)
	})
}

// forest is all categories as they stand while the catalog's lock is held.
type forest struct {
	byID  map[uuid.UUID]Category
	slugs map[string]bool
}

func touchCategories(ctx context.Context, tx Tx) (forest, error) {
	if err := tx.Touch(ctx); err != nil {
		return forest{}, err
	}
	categories, err := tx.Categories(ctx)
	if err != nil {
		return forest{}, err
	}
	f := forest{byID: make(map[uuid.UUID]Category, len(categories)), slugs: make(map[string]bool, len(categories))}
	for _, c := range categories {
		f.add(c)
	}
	return f, nil
}

func (f forest) add(c Category) {
	f.byID[c.ID] = c
	f.slugs[c.Slug] = true
}

// maxDepth keeps the tree to what a menu can show and a recursive query walks at once.
const maxDepth = 16

func (f forest) checkParent(c Category) error {
	depth := 0
	for id := c.ParentID; id != uuid.Nil; depth++ {
		parent, ok := f.byID[id]
		switch {
		case id == c.ID:
			return ErrCategoryCycle.WithField("parentId", c.ParentID.String())
		case !ok:
			return fault.Invalid("parentId", "the parent category does not exist").WithField("parentId", id.String())
		case depth >= maxDepth:
			return fault.Invalid("parentId", "the category tree is at most %d deep", maxDepth)
		}
		id = parent.ParentID
	}
	return nil
}
