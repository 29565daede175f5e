package product

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// Status says who sees a product.
type Status string

// The statuses of a product.
const (
	// StatusActive products are sold.
	StatusActive Status = "ACTIVE"
	// StatusDraft products are being prepared; administrators only.
	StatusDraft Status = "DRAFT"
	// StatusArchived products are no longer sold; administrators only.
	StatusArchived Status = "ARCHIVED"
)

// DefaultTaxClass is the tax class of a product that names none.
const DefaultTaxClass = "standard"

// Limits of a product's fields, in characters unless said otherwise.
const (
	maxName        = 300
	maxDescription = 20_000
	maxSlug        = 160
	maxSKU         = 100
	maxTaxClass    = 40
	maxGroupKey    = 160
	maxAttributes  = 50
	maxAttribute   = 60
	maxValue       = 200
	maxCategories  = 50
	maxWeightGrams = 100_000_000
	maxOnHand      = 1_000_000_000
	maxPriceMinor  = 99_999_999_999_999
)

// Product is one thing that can be bought: one stock keeping unit.
type Product struct {
	// ID is a UUIDv7.
	ID uuid.UUID
	// Slug names the product in URLs.
	Slug string
	// SKU is the stock keeping unit, unique unless empty.
	SKU string
	// Name and Description are plain text.
	Name, Description string
	// Price of one piece before tax.
	Price money.Money
	// TaxClass such as "standard".
	TaxClass string
	// Status says who sees it.
	Status Status
	// WeightGrams is the weight of one piece.
	WeightGrams int32
	// GroupKey is shared by the variants of one article.
	GroupKey string
	// Attributes to filter by.
	Attributes map[string]string
	// CategoryIDs the product belongs to, sorted.
	CategoryIDs []uuid.UUID
	// Images in order.
	Images []Image
	// Stock as it was when the product was read.
	Stock Stock
	// Version counts changes, from 1.
	Version int64
	// CreateTime and UpdateTime of the row.
	CreateTime, UpdateTime time.Time
}

// Image is a picture: an object of our store or an address elsewhere.
type Image struct {
	// ID is a UUIDv7.
	ID uuid.UUID
	// ObjectKey and ThumbnailKey name objects of our store; empty for an external image.
	ObjectKey, ThumbnailKey string
	// ExternalURL is an https address, empty for an object of ours.
	ExternalURL string
	// Alt is the alternative text.
	Alt string
	// Width and Height in pixels, 0 when not known.
	Width, Height int32
	// Position among the product's images, from 0.
	Position int32
}

// Etag is the version as text.
func (p Product) Etag() string { return strconv.FormatInt(p.Version, 10) }

// parseEtag reads an etag; 0 means that the caller set no condition.
func parseEtag(etag string) (int64, error) {
	etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	if etag == "" || etag == "*" {
		return 0, nil
	}
	// The entity tag of an answer over HTTP goes on behind the version, because an answer also changes with the stock.
	etag, _, _ = strings.Cut(etag, ".")
	version, err := strconv.ParseInt(etag, 10, 64)
	if err != nil || version < 1 {
		// No version of ours looks like this, so the caller's copy is not the present one.
		return 0, errStale
	}
	return version, nil
}

// normalize fills defaults and puts lists into one order.
func (p *Product) normalize() {
	p.Name = strings.TrimSpace(p.Name)
	p.SKU = strings.TrimSpace(p.SKU)
	if p.TaxClass == "" {
		p.TaxClass = DefaultTaxClass
	}
	if p.Status == "" {
		p.Status = StatusActive
	}
	p.Attributes = maps.Clone(p.Attributes)
	if p.Attributes == nil {
		p.Attributes = map[string]string{}
	}
	p.CategoryIDs = slices.SortedFunc(slices.Values(p.CategoryIDs), compareIDs)
	p.CategoryIDs = slices.Compact(p.CategoryIDs)
}

func compareIDs(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }

// validate checks every field of a normalized product but the stock.
func (p *Product) validate() error {
	if p.Name == "" {
		return fault.Invalid("name", "a name is required")
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{
		{"name", p.Name, maxName},
		{"description", p.Description, maxDescription},
		{"slug", p.Slug, maxSlug},
		{"sku", p.SKU, maxSKU},
		{"taxClass", p.TaxClass, maxTaxClass},
		{"groupKey", p.GroupKey, maxGroupKey},
	} {
		if err := checkText(text.field, text.value, text.limit); err != nil {
			return err
		}
	}
	if p.Slug != "" && !validSlug(p.Slug) {
		return fault.Invalid("slug", "a slug has lower case letters, digits and single dashes only").WithField("slug", p.Slug)
	}
	if err := checkPrice(p.Price); err != nil {
		return err
	}
	if p.WeightGrams < 0 || p.WeightGrams > maxWeightGrams {
		return fault.Invalid("weightGrams", "a weight is between 0 and %d grams", maxWeightGrams)
	}
	if len(p.CategoryIDs) > maxCategories {
		return fault.Invalid("categoryIds", "a product belongs to at most %d categories", maxCategories)
	}
	switch p.Status {
	case StatusActive, StatusDraft, StatusArchived:
	default:
		return fault.Invalid("status", "the status is not known")
	}
	return checkAttributes(p.Attributes)
}

func checkPrice(price money.Money) error {
	if price.CurrencyCode == "" {
		return fault.Invalid("price", "a price with its currency is required")
	}
	if err := price.Validate(); err != nil {
		return fault.Invalid("price.currencyCode", "the currency is not an ISO 4217 code").
			WithField("price.currencyCode", price.CurrencyCode)
	}
	if price.IsNegative() || price.AmountMinor > maxPriceMinor {
		return fault.Invalid("price.amountMinor", "a price is between 0 and %d", int64(maxPriceMinor)).
			WithField("price.amountMinor", strconv.FormatInt(price.AmountMinor, 10))
	}
	return nil
}

func checkAttributes(attributes map[string]string) error {
	if len(attributes) > maxAttributes {
		return fault.Invalid("attributes", "a product has at most %d attributes", maxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if name == "" || strings.Contains(name, ":") {
			return fault.Invalid("attributes", "an attribute has a name without a colon").WithField("attributes", name)
		}
		if err := checkText("attributes", name, maxAttribute); err != nil {
			return err
		}
		if err := checkText("attributes", attributes[name], maxValue); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses what the database cannot hold: NUL, broken UTF-8, too much.
func checkText(field, value string, limit int) error {
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return fault.Invalid(field, "the text holds characters that cannot be stored")
	}
	if n := utf8.RuneCountInString(value); n > limit {
		return fault.Invalid(field, "the text has %d characters, at most %d are allowed", n, limit)
	}
	return nil
}
