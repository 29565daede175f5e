package module

import (
	"context"
	"io/fs"
	"net/http"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/api/gen/commerce/notification/v1/notificationv1connect"
	"github.com/commercestack/commercestack/ent/notification/migrations"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/services/notification"
	"github.com/commercestack/commercestack/services/notification/rpc"
	"github.com/commercestack/commercestack/services/notification/store"
	"github.com/commercestack/commercestack/services/notification/template"
	"github.com/commercestack/commercestack/services/notification/web"
)

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component and registers its subscription.
func New(_ context.Context, config Config, env component.Env) (*component.Component, error) {
	templates, err := template.Load()
	if err != nil {
		return nil, err
	}
	capture := store.NewCapture(env.DB, env.Now)
	out, err := config.sender(env, capture)
	if err != nil {
		return nil, err
	}
	sends := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commerce_mail_tries_total", Help: "Tries to send a mail by outcome: sent, failed (tried again) or dead.",
	}, []string{"outcome"})
	if err := env.Registry.Register(sends); err != nil {
		return nil, err
	}
	if err := env.Registry.Register(store.NewCollector(env.DB)); err != nil {
		return nil, err
	}
	service := notification.New(notification.Config{
		Store: store.New(env.DB, env.Keyring), Sender: out, Renderer: templates, Shop: config.FromName,
		FromName: config.FromName, FromAddress: config.FromAddress, PublicURL: env.PublicURL, Logger: env.Logger, Now: env.Now,
		Sent: func(outcome string) { sends.WithLabelValues(outcome).Inc() },
	})
	handler := rpc.NewHandler(service)
	if err := env.Bus.Subscribe(bus.Subscription{Name: rpc.Subscriber, Types: rpc.EventTypes(), Handle: handler.HandleEvent}); err != nil {
		return nil, err
	}
	built := &component.Component{
		Name: env.Name,
		Register: func(server *connect.Server) {
			notificationv1connect.RegisterNotificationServiceHandler(server, handler)
		},
		Work:  []func(context.Context) error{service.Deliver},
		Ready: env.DB.Ping,
	}
	if env.Development {
		built.Routes = map[string]http.Handler{"GET /dev/mail": web.NewInbox(capture)}
	}
	return built, nil
}
