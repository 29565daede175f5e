// Package module starts the admin component.
package module

import (
	"context"

	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/services/admin"
)

// Config of the component. There is nothing to set.
type Config struct{}

// New builds the component. It has no data of its own, so env.DB and env.Bus may be nil.
func New(_ context.Context, _ Config, env component.Env) (*component.Component, error) {
	pages, err := admin.New(env)
	if err != nil {
		return nil, err
	}
	return &component.Component{Name: env.Name, Routes: pages.Routes()}, nil
}
