package app

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/services/product/catalog"
)

// demoIdentity is who loads the demo catalog.
var demoIdentity = identity.Identity{UserID: uuid.Nil.String(), Roles: []string{"admin"}, Permissions: []string{"*"}}

// loadDemo fills a shop that has no product yet, through the importer and the
// uploads that everybody uses. It returns how many products it made. Their pictures
// follow while the shop is open.
func loadDemo(ctx context.Context, p *process) (int, error) {
	ctx = identity.With(ctx, demoIdentity)
	return catalog.Load(ctx, p.directory.clientFor("setup")("product"), p.config.Currency)
}

// paintDemo adds the pictures of the demo catalog. A failure costs pictures only.
func paintDemo(ctx context.Context, p *process) {
	err := catalog.Paint(identity.With(ctx, demoIdentity), p.directory.clientFor("setup")("product"))
	if err != nil && ctx.Err() == nil {
		p.resources.logger.WarnContext(ctx, "the pictures of the demo catalog are incomplete", slog.Any("error", err))
	}
}
