package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/go-cmp/cmp"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const ada = "01946f3a-5c00-7000-8000-00000000000a"

type row struct {
	Actor, ActorID, Action, Resource, RequestID, IP string
	Details                                         map[string]any
}

func rows(t *testing.T, db *postgres.DB) []row {
	t.Helper()
	found, err := db.Pool().Query(t.Context(), "SELECT actor, actor_id, action, resource, request_id, ip, details FROM audit_log ORDER BY create_time, id")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	var all []row
	for found.Next() {
		var r row
		if err := found.Scan(&r.Actor, &r.ActorID, &r.Action, &r.Resource, &r.RequestID, &r.IP, &r.Details); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestWriteCommitsWithItsTransaction(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "user", nil)
	ctx := identity.With(telemetry.WithRequestID(t.Context(), "req-1"),
		identity.Identity{UserID: ada, Roles: []string{"admin"}, ClientIP: "192.0.2.1"})
	undo := errors.New("undo")
	for _, outcome := range []error{undo, nil} {
		err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			if err := audit.Write(ctx, tx, audit.Entry{Action: "account.locked", Resource: "user/1"}); err != nil {
				t.Error(err)
			}
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
	}
	worker := identity.With(t.Context(), identity.Identity{Service: "billing"})
	if err := audit.Record(worker, db, audit.Entry{Action: "refunded", Details: map[string]any{"count": 2}}); err != nil {
		t.Fatal(err)
	}
	if err := audit.Record(t.Context(), db, audit.Entry{Actor: "admin", ActorID: "cli", Action: "a", RequestID: "r", IP: "::1"}); err != nil {
		t.Fatal(err)
	}
	want := []row{
		{"admin", ada, "account.locked", "user/1", "req-1", "192.0.2.1", map[string]any{}},
		{"service", "billing", "refunded", "", "", "", map[string]any{"count": 2.0}},
		{"admin", "cli", "a", "", "r", "::1", map[string]any{}},
	}
	if diff := cmp.Diff(want, rows(t, db)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if _, err := db.Pool().Exec(t.Context(), "UPDATE audit_log SET actor = 'nobody'"); err == nil {
		t.Error("a row could be changed")
	}
	for _, bad := range []map[string]any{{"f": func() {}}, {"nul": "\x00"}} {
		err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return audit.Write(ctx, tx, audit.Entry{Action: "a", Details: bad})
		})
		if err == nil || audit.Record(ctx, db, audit.Entry{Action: "a", Details: bad}) == nil {
			t.Errorf("details %v were written", bad)
		}
	}
}

type users struct {
	userv1connect.UnimplementedUserServiceHandler
}

func (users) UpdateUser(_ context.Context, request *userv1.UpdateUserRequest) (*userv1.UpdateUserResponse, error) {
	if request.GetUserId() != ada {
		return nil, fault.NotFound("user", request.GetUserId())
	}
	return &userv1.UpdateUserResponse{User: &userv1.User{Id: ada}}, nil
}

func (users) GetUser(context.Context, *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	return &userv1.GetUserResponse{}, nil
}

type accounts struct {
	authv1connect.UnimplementedAuthServiceHandler
}

func (accounts) Register(_ context.Context, request *authv1.RegisterRequest) (*authv1.RegisterResponse, error) {
	if request.GetEmail() == "taken@example.com" {
		return nil, errors.New("boom")
	}
	return &authv1.RegisterResponse{}, nil
}

func newClient(t *testing.T, db *postgres.DB, log *bytes.Buffer) *connect.Client {
	t.Helper()
	server := rpc.NewServer(rpc.ServerOptions{
		Logger: slog.New(slog.DiscardHandler), AllowAnonymous: true,
		Interceptors: []connect.ServerInterceptor{
			audit.Interceptor(func(string) *postgres.DB { return db }, slog.New(slog.NewTextHandler(log, nil))),
		},
	})
	userv1connect.RegisterUserServiceHandler(server, users{})
	authv1connect.RegisterAuthServiceHandler(server, accounts{})
	return rpc.NewClient(connectinprocess.New(server), rpc.ClientOptions{Caller: "gateway", Target: "user"})
}

func TestInterceptorRecordsAuditedCalls(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "user", nil)
	client := newClient(t, db, &bytes.Buffer{})
	ctx := telemetry.WithRequestID(t.Context(), "req-1")
	admin := identity.With(ctx, identity.Identity{UserID: ada, Roles: []string{"admin"}, Permissions: []string{"*"}, ClientIP: "192.0.2.1"})
	guest := identity.With(ctx, identity.Identity{ClientIP: "192.0.2.2"})
	const nobody = "01946f3a-5c00-7000-8000-00000000000b"
	u, a := userv1connect.NewUserServiceClient(client), authv1connect.NewAuthServiceClient(client)
	if _, err := u.GetUser(admin, &userv1.GetUserRequest{UserId: ada}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.UpdateUser(admin, &userv1.UpdateUserRequest{UserId: ada, User: &userv1.User{DisplayName: "Countess"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.UpdateUser(admin, &userv1.UpdateUserRequest{UserId: nobody, User: &userv1.User{}}); fault.From(err).Kind != fault.KindNotFound {
		t.Fatal(err)
	}
	if _, err := a.Register(guest, &authv1.RegisterRequest{Email: "ada@example.com", Password: "difference-engine"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Register(guest, &authv1.RegisterRequest{Email: "taken@example.com", Password: "difference-engine"}); err == nil {
		t.Fatal("no error")
	}
	want := []row{
		{"admin", ada, "UserService/UpdateUser", "user/" + ada, "req-1", "192.0.2.1", map[string]any{
			"outcome": "ok", "request": map[string]any{"userId": ada, "user": true},
		}},
		{"admin", ada, "UserService/UpdateUser", "user/" + nobody, "req-1", "192.0.2.1", map[string]any{
			"outcome": "NOT_FOUND", "request": map[string]any{"userId": nobody, "user": true},
		}},
		{"service", "gateway", "AuthService/Register", "", "req-1", "192.0.2.2", map[string]any{
			"outcome": "ok", "request": map[string]any{"email": true, "password": true},
		}},
		{"service", "gateway", "AuthService/Register", "", "req-1", "192.0.2.2", map[string]any{
			"outcome": "INTERNAL_ERROR", "request": map[string]any{"email": true, "password": true},
		}},
	}
	got := rows(t, db)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestRowThatCannotBeWrittenIsLogged(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "user", nil)
	var log bytes.Buffer
	client := authv1connect.NewAuthServiceClient(newClient(t, db, &log))
	db.Close()
	if _, err := client.Register(t.Context(), &authv1.RegisterRequest{Email: "ada@example.com", Password: "difference-engine"}); err != nil {
		t.Fatalf("the effect has happened, but the client hears %v", err)
	}
	if text := log.String(); !strings.Contains(text, "AuthService/Register") || strings.Contains(text, "difference") || strings.Contains(text, "ada@") {
		t.Errorf("log: %s", text)
	}
	without := rpc.NewServer(rpc.ServerOptions{
		Logger: slog.New(slog.DiscardHandler), AllowAnonymous: true,
		Interceptors: []connect.ServerInterceptor{audit.Interceptor(func(string) *postgres.DB { return nil }, nil)},
	})
	authv1connect.RegisterAuthServiceHandler(without, accounts{})
	plain := authv1connect.NewAuthServiceClient(rpc.NewClient(connectinprocess.New(without), rpc.ClientOptions{Caller: "gateway", Target: "auth"}))
	if _, err := plain.Register(t.Context(), &authv1.RegisterRequest{Email: "ada@example.com", Password: "difference-engine"}); err != nil {
		t.Errorf("without a database: %v", err)
	}
}
