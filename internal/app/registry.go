package app

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/commercestack/commercestack/internal/component"
	admin "github.com/commercestack/commercestack/services/admin/module"
	analytics "github.com/commercestack/commercestack/services/analytics/module"
	auth "github.com/commercestack/commercestack/services/auth/module"
	billing "github.com/commercestack/commercestack/services/billing/module"
	notification "github.com/commercestack/commercestack/services/notification/module"
	order "github.com/commercestack/commercestack/services/order/module"
	product "github.com/commercestack/commercestack/services/product/module"
	storefront "github.com/commercestack/commercestack/services/storefront/module"
	user "github.com/commercestack/commercestack/services/user/module"
)

// gatewayName is the one component that is not built from a registry entry: it
// is the public listener in front of the others.
const gatewayName = "gateway"

// registration is how the program knows a component.
type registration struct {
	name string
	// migrations of the component's schema; nil for a component without data.
	migrations fs.FS
	build      func(ctx context.Context, config *Config, env component.Env) (*component.Component, error)
}

// registry lists every component, in the order in which they are built.
var registry = []registration{
	{"auth", auth.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return auth.New(ctx, c.Auth, env)
	}},
	{"user", user.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return user.New(ctx, c.User, env)
	}},
	{"product", product.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return product.New(ctx, c.Product, env)
	}},
	{"order", order.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return order.New(ctx, c.Order, env)
	}},
	{"billing", billing.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return billing.New(ctx, c.Billing, env)
	}},
	{"notification", notification.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return notification.New(ctx, c.Notification, env)
	}},
	{"analytics", analytics.Migrations, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return analytics.New(ctx, c.Analytics, env)
	}},
	{"admin", nil, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return admin.New(ctx, c.Admin, env)
	}},
	{"storefront", nil, func(ctx context.Context, c *Config, env component.Env) (*component.Component, error) {
		return storefront.New(ctx, c.Storefront, env)
	}},
}

// ComponentNames returns every component a process can run, the gateway included.
func ComponentNames() []string {
	names := make([]string, 0, len(registry)+1)
	for _, entry := range registry {
		names = append(names, entry.name)
	}
	return append(names, gatewayName)
}

// choose checks the names of components and returns their registrations, and
// whether the gateway is among them.
func choose(names []string) (chosen []registration, withGateway bool, err error) {
	known := ComponentNames()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, false, fmt.Errorf("there is no component %q: choose from %s", name, strings.Join(known, ", "))
		}
	}
	for _, entry := range registry {
		if slices.Contains(names, entry.name) {
			chosen = append(chosen, entry)
		}
	}
	return chosen, slices.Contains(names, gatewayName), nil
}
