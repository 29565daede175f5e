package module_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
)

// accounts stands for the auth component: it holds accounts and collects the events about them.
type accounts struct {
	authv1connect.UnimplementedAccountServiceHandler

	mu     sync.Mutex
	all    []*authv1.Account // oldest first
	events []event.Event
}

// errLastAdmin is auth's refusal.
var errLastAdmin = fault.Conflict("LAST_ADMIN", "the last administrator stays")

func (a *accounts) add(email string, roles ...string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := uuid.Must(uuid.NewV7()).String()
	a.all = append(a.all, &authv1.Account{
		UserId: id, Email: email, EmailVerified: true, Roles: roles, DisplayName: "Registered", CreateTime: timestamppb.New(time.Now()),
	})
	a.events = append(a.events, event.New(id, &eventv1.UserRegistered{UserId: id, Email: email, DisplayName: "Registered"}))
	return id
}

func (a *accounts) find(id string) (int, error) {
	i := slices.IndexFunc(a.all, func(account *authv1.Account) bool { return account.GetUserId() == id })
	if i < 0 {
		return 0, fault.NotFound("account", id)
	}
	return i, nil
}

func (a *accounts) lastAdmin(i int) bool {
	for j, account := range a.all {
		if j != i && !account.GetDisabled() && slices.Contains(account.GetRoles(), "admin") {
			return false
		}
	}
	return !a.all[i].GetDisabled() && slices.Contains(a.all[i].GetRoles(), "admin")
}

// GetAccount returns one account.
func (a *accounts) GetAccount(_ context.Context, req *authv1.GetAccountRequest) (*authv1.GetAccountResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.find(req.GetUserId())
	if err != nil {
		return nil, err
	}
	return &authv1.GetAccountResponse{Account: a.all[i]}, nil
}

// ListAccounts lists accounts, newest first.
func (a *accounts) ListAccounts(_ context.Context, req *authv1.ListAccountsRequest) (*authv1.ListAccountsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*authv1.Account
	for _, account := range slices.Backward(a.all) {
		if strings.Contains(account.GetEmail(), req.GetQ()) {
			found = append(found, account)
		}
	}
	from := 0
	if token := req.GetPageToken(); token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil {
			return nil, fault.Invalid("pageToken", "is not a token of this list")
		}
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = 20
	}
	answer := &authv1.ListAccountsResponse{Accounts: found[from:min(from+size, len(found))]}
	if from+size < len(found) {
		answer.NextPageToken = strconv.Itoa(from + size)
	}
	return answer, nil
}

// SetAccountRoles replaces the roles.
func (a *accounts) SetAccountRoles(_ context.Context, req *authv1.SetAccountRolesRequest) (*authv1.SetAccountRolesResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.find(req.GetUserId())
	if err != nil {
		return nil, err
	}
	a.all[i].Roles = req.GetRoles()
	return &authv1.SetAccountRolesResponse{Account: a.all[i]}, nil
}

// DisableAccount forbids logins or lifts the ban.
func (a *accounts) DisableAccount(_ context.Context, req *authv1.DisableAccountRequest) (*authv1.DisableAccountResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.find(req.GetUserId())
	if err != nil {
		return nil, err
	}
	a.all[i].Disabled = req.GetDisabled()
	return &authv1.DisableAccountResponse{Account: a.all[i]}, nil
}

// DeleteAccount erases an account.
func (a *accounts) DeleteAccount(_ context.Context, req *authv1.DeleteAccountRequest) (*authv1.DeleteAccountResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.find(req.GetUserId())
	if err != nil {
		return &authv1.DeleteAccountResponse{}, nil
	}
	if a.lastAdmin(i) {
		return nil, errLastAdmin
	}
	a.all = slices.Delete(a.all, i, i+1)
	a.events = append(a.events, event.New(req.GetUserId(), &eventv1.UserDeleted{UserId: req.GetUserId()}))
	return &authv1.DeleteAccountResponse{}, nil
}

// publish hands what happened since the last call to the subscriptions, every event twice.
func (b *bench) publish(t *testing.T) {
	t.Helper()
	b.accounts.mu.Lock()
	events := b.accounts.events
	b.accounts.events = nil
	b.accounts.mu.Unlock()
	for _, e := range events {
		b.bus.deliver(t, e)
		b.bus.deliver(t, e)
	}
}

// sessions answers for the logins of a person.
type sessions struct {
	authv1connect.UnimplementedAuthServiceHandler
}

// ListSessions returns one session.
func (sessions) ListSessions(context.Context, *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	return &authv1.ListSessionsResponse{Sessions: []*authv1.Session{{Id: uuid.NewString(), UserAgent: "browser/1"}}}, nil
}
