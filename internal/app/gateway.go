package app

import (
	"context"
	"net/http"

	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/internal/openapi"
	"github.com/commercestack/commercestack/services/gateway"
)

// newVerify returns how the gateway checks access tokens: by the key set that
// auth publishes, and by the sessions that ended.
func (p *process) newVerify() func(ctx context.Context, token string) (identity.Identity, error) {
	verifier := jwtverify.New(jwtverify.Config{
		Keys:    jwtverify.FromClient(p.directory.clientFor(gateway.Name)("auth")),
		Revoked: jwtverify.NewRevocations(p.resources.redis, p.clock.Now, p.resources.logger).Revoked,
		Now:     p.clock.Now,
	})
	return func(ctx context.Context, token string) (identity.Identity, error) {
		claims, err := verifier.Verify(ctx, token)
		if err != nil {
			return identity.Identity{}, err
		}
		return claims.Identity(), nil
	}
}

// gatewayRoutes is what the gateway answers itself.
func (p *process) gatewayRoutes() http.Handler {
	mux := http.NewServeMux()
	p.health(mux)
	mux.Handle("/openapi.json", openapi.Handler())
	mux.Handle("/docs", openapi.Handler())
	mux.Handle("/", p.inner)
	return mux
}
