package idempotency_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"

	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// shop is a component whose CreateAddress does what the test says.
type shop struct {
	userv1connect.UserServiceHandler

	create func(ctx context.Context, id uuid.UUID) error
	calls  atomic.Int32
}

func (s *shop) CreateAddress(ctx context.Context, request *userv1.CreateAddressRequest) (*userv1.CreateAddressResponse, error) {
	s.calls.Add(1)
	id := idempotency.ResourceID(ctx)
	if s.create != nil {
		if err := s.create(ctx, id); err != nil {
			return nil, err
		}
	}
	return &userv1.CreateAddressResponse{Address: &userv1.SavedAddress{Id: id.String(), Address: request.GetAddress()}}, nil
}

func (s *shop) DeleteAddress(context.Context, *userv1.DeleteAddressRequest) (*userv1.DeleteAddressResponse, error) {
	s.calls.Add(1)
	return &userv1.DeleteAddressResponse{}, nil
}

func (s *shop) ListAddresses(context.Context, *userv1.ListAddressesRequest) (*userv1.ListAddressesResponse, error) {
	s.calls.Add(1)
	return &userv1.ListAddressesResponse{}, nil
}

type fixture struct {
	shop   *shop
	db     *postgres.DB
	store  *idempotency.Store
	client userv1connect.UserServiceClient
}

func keyring(t testing.TB) *crypto.Keyring {
	t.Helper()
	ring, err := crypto.NewKeyring(crypto.Key{ID: "k1", Secret: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func setup(t *testing.T, options ...idempotency.Option) *fixture {
	t.Helper()
	f := &fixture{shop: &shop{}, db: pgtest.New(t, "user", nil)}
	options = append([]idempotency.Option{idempotency.WithLogger(slog.New(slog.DiscardHandler))}, options...)
	f.store = idempotency.NewStore(f.db, keyring(t), options...)
	server := rpc.NewServer(rpc.ServerOptions{
		Logger: slog.New(slog.DiscardHandler), AllowAnonymous: true,
		Interceptors: []connect.ServerInterceptor{idempotency.Interceptor(func(procedure string) *idempotency.Store {
			if rpc.ComponentOf(procedure) != "user" {
				return nil
			}
			return f.store
		})},
	})
	userv1connect.RegisterUserServiceHandler(server, f.shop)
	f.client = userv1connect.NewUserServiceClient(rpc.NewClient(connectinprocess.New(server), rpc.ClientOptions{Caller: "gateway", Target: "user"}))
	return f
}

func as(ctx context.Context, user string) context.Context {
	return identity.With(ctx, identity.Identity{UserID: user, Permissions: []string{"*"}})
}

func address(city string) *userv1.CreateAddressRequest {
	return &userv1.CreateAddressRequest{Address: &typev1.Address{
		Recipient: "Ada", Line1: "Street 1", City: city, PostalCode: "10115", CountryCode: "DE",
	}}
}

// create calls under the key and returns the id of the created address and whether the answer was replayed.
func (f *fixture) create(ctx context.Context, key, city string) (id string, replayed bool, err error) {
	ctx, info := connect.NewClientContext(ctx)
	if key != "" {
		info.RequestHeader().Set(idempotency.Header, key)
	}
	response, err := f.client.CreateAddress(ctx, address(city))
	return response.GetAddress().GetId(), info.ResponseHeader().Get(idempotency.ReplayedHeader) == "true", err
}

const (
	ada = "01946f3a-5c00-7000-8000-00000000000a"
	bob = "01946f3a-5c00-7000-8000-00000000000b"
)

func TestRepetitionIsReplayed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := as(t.Context(), ada)
	first, replayed, err := f.create(ctx, "k", "Berlin")
	if err != nil || replayed {
		t.Fatalf("%v, replayed %t", err, replayed)
	}
	second, replayed, err := f.create(ctx, "k", "Berlin")
	if err != nil || !replayed || second != first {
		t.Errorf("repetition: %s, want %s; replayed %t, %v", second, first, replayed, err)
	}
	if n := f.shop.calls.Load(); n != 1 {
		t.Errorf("%d executions", n)
	}
	if _, _, err := f.create(ctx, "k", "Bonn"); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("other parameters: %v", err)
	}
	for name, other := range map[string]context.Context{
		"other user":  as(t.Context(), bob),
		"service":     identity.With(t.Context(), identity.Identity{Service: "order", Permissions: []string{"*"}}),
		"other guest": identity.With(t.Context(), identity.Identity{GuestToken: "g", Permissions: []string{"*"}}),
	} {
		id, replayed, err := f.create(other, "k", "Berlin")
		if name == "other user" && (err != nil || replayed || id == first) {
			t.Errorf("%s got %s, replayed %t, %v", name, id, replayed, err)
		}
		if replayed {
			t.Errorf("%s: the answer of another caller", name)
		}
	}
	var response []byte
	if err := f.db.Pool().QueryRow(ctx, "SELECT response FROM idempotency_key WHERE scope = $1", ada).Scan(&response); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(response), "Berlin") {
		t.Error("the answer is stored in clear")
	}
}

func TestEmptyAnswerIsReplayed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 2 {
		ctx, info := connect.NewClientContext(as(t.Context(), ada))
		info.RequestHeader().Set(idempotency.Header, "k")
		if _, err := f.client.DeleteAddress(ctx, &userv1.DeleteAddressRequest{AddressId: ada}); err != nil {
			t.Fatal(err)
		}
		if replayed := info.ResponseHeader().Get(idempotency.ReplayedHeader); (replayed == "true") != (i == 1) {
			t.Errorf("call %d: replayed %q", i, replayed)
		}
	}
	if n := f.shop.calls.Load(); n != 1 {
		t.Errorf("%d executions", n)
	}
}

func TestConcurrentTwinsExecuteOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.shop.create = func(context.Context, uuid.UUID) error {
		time.Sleep(300 * time.Millisecond)
		return nil
	}
	var group sync.WaitGroup
	var succeeded, busy atomic.Int32
	for range 8 {
		group.Go(func() {
			_, _, err := f.create(as(t.Context(), ada), "k", "Berlin")
			switch {
			case err == nil:
				succeeded.Add(1)
			case errors.Is(err, idempotency.ErrInProgress):
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if f.shop.calls.Load() != 1 || succeeded.Load() != 1 || busy.Load() != 7 {
		t.Errorf("%d executions, %d answers, %d refusals", f.shop.calls.Load(), succeeded.Load(), busy.Load())
	}
	if _, replayed, err := f.create(as(t.Context(), ada), "k", "Berlin"); err != nil || !replayed {
		t.Errorf("afterwards: replayed %t, %v", replayed, err)
	}
}

func TestFailureIsNotStoredAndKeepsItsID(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var ids []uuid.UUID
	f.shop.create = func(_ context.Context, id uuid.UUID) error {
		ids = append(ids, id)
		switch len(ids) {
		case 1:
			return fault.Conflict("OUT_OF_STOCK", "nothing left")
		case 2:
			panic("bug")
		default:
			return nil
		}
	}
	ctx := as(t.Context(), ada)
	if _, _, err := f.create(ctx, "k", "Berlin"); fault.From(err).Reason != "OUT_OF_STOCK" {
		t.Fatal(err)
	}
	if _, _, err := f.create(ctx, "k", "Berlin"); err == nil {
		t.Fatal("the panic is no error")
	}
	id, replayed, err := f.create(ctx, "k", "Berlin")
	if err != nil || replayed {
		t.Fatalf("replayed %t, %v", replayed, err)
	}
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] || id != ids[0].String() {
		t.Errorf("ids %v", ids)
	}
	if _, _, err := f.create(ctx, "k", "Bonn"); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("other parameters: %v", err)
	}
}

func TestInvalidRequestClaimsNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := as(t.Context(), ada)
	ctx2, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set(idempotency.Header, "k")
	if _, err := f.client.CreateAddress(ctx2, &userv1.CreateAddressRequest{}); fault.From(err).Kind != fault.KindInvalidInput {
		t.Fatal(err)
	}
	if _, _, err := f.create(ctx, "k", "Berlin"); err != nil {
		t.Errorf("the corrected request: %v", err)
	}
}

func TestTakeoverAfterACrash(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := as(t.Context(), ada)
	// What a process leaves behind that died in the handler: a claim nobody extends.
	var died uuid.UUID
	f.shop.create = func(_ context.Context, id uuid.UUID) error {
		died = id
		return errors.New("crash")
	}
	if _, _, err := f.create(ctx, "k", "Berlin"); err == nil {
		t.Fatal("no crash")
	}
	f.shop.create = nil
	if _, err := f.db.Pool().Exec(ctx, "UPDATE idempotency_key SET lease_until = now() + interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	_, _, err := f.create(ctx, "k", "Berlin")
	if !errors.Is(err, idempotency.ErrInProgress) {
		t.Fatalf("within the lease: %v", err)
	}
	time.Sleep(1100 * time.Millisecond)
	// Only one of several takes over.
	f.shop.create = func(context.Context, uuid.UUID) error {
		time.Sleep(200 * time.Millisecond)
		return nil
	}
	before := f.shop.calls.Load()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			id, _, err := f.create(ctx, "k", "Berlin")
			if err == nil && id != died.String() {
				t.Errorf("another id: %s, want %s", id, died)
			}
			if err != nil && !errors.Is(err, idempotency.ErrInProgress) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := f.shop.calls.Load() - before; n != 1 {
		t.Errorf("%d takeovers", n)
	}
}

func TestSlowCallKeepsItsLease(t *testing.T) {
	t.Parallel()
	f := setup(t, idempotency.WithLease(600*time.Millisecond))
	entered := make(chan struct{})
	f.shop.create = func(context.Context, uuid.UUID) error {
		close(entered)
		time.Sleep(1500 * time.Millisecond)
		return nil
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := f.create(as(t.Context(), ada), "k", "Berlin")
		done <- err
	}()
	<-entered
	time.Sleep(time.Second)
	if _, _, err := f.create(as(t.Context(), ada), "k", "Berlin"); !errors.Is(err, idempotency.ErrInProgress) {
		t.Errorf("twin of a slow call: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := f.shop.calls.Load(); n != 1 {
		t.Errorf("%d executions", n)
	}
}

func TestClientThatLeavesStillGetsItsAnswerLater(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, leave := context.WithCancel(as(t.Context(), ada))
	f.shop.create = func(context.Context, uuid.UUID) error {
		leave()
		return nil
	}
	f.create(ctx, "k", "Berlin") // nobody listens
	f.shop.create = func(context.Context, uuid.UUID) error { return errors.New("executed again") }
	if _, replayed, err := f.create(as(t.Context(), ada), "k", "Berlin"); err != nil || !replayed {
		t.Errorf("replayed %t, %v", replayed, err)
	}
}

func TestCallsWithoutClaim(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := as(t.Context(), ada)
	first, _, err := f.create(ctx, "", "Berlin")
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := f.create(ctx, "", "Berlin")
	if err != nil || first == second {
		t.Errorf("without a key: %s and %s, %v", first, second, err)
	}
	reading, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set(idempotency.Header, "\n")
	if _, err := f.client.ListAddresses(reading, &userv1.ListAddressesRequest{}); err != nil {
		t.Errorf("a read with a key: %v", err)
	}
	// A component called in process, without a key of its own, makes facts of its own.
	f.shop.create = func(ctx context.Context, outer uuid.UUID) error {
		f.shop.create = nil
		inner, _, err := f.create(ctx, "", "Bonn")
		if inner == outer.String() {
			t.Error("the inner call got the id of the outer one")
		}
		return err
	}
	if _, _, err := f.create(ctx, "k", "Berlin"); err != nil {
		t.Error(err)
	}
	var n int
	if err := f.db.Pool().QueryRow(ctx, "SELECT count(*) FROM idempotency_key").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d claims, %v", n, err)
	}
	if a, b := idempotency.ResourceID(t.Context()), idempotency.ResourceID(t.Context()); a == b || a.Version() != 7 {
		t.Errorf("outside a call: %s, %s", a, b)
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, key := range []string{"a b", "ä", "\x7f", strings.Repeat("k", 256)} {
		_, _, err := f.create(as(t.Context(), ada), key, "Berlin")
		if e := fault.From(err); e == nil || e.Kind != fault.KindInvalidInput || e.Field != idempotency.Header {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if _, _, err := f.create(as(t.Context(), ada), strings.Repeat("~", 255), "Berlin"); err != nil {
		t.Error(err)
	}
	if n := f.shop.calls.Load(); n != 1 {
		t.Errorf("%d executions", n)
	}
}

func TestLostDatabaseRefusesAndTamperingIsNoticed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := as(t.Context(), ada)
	if _, _, err := f.create(ctx, "k", "Berlin"); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"response", "params_hash"} {
		if _, err := f.db.Pool().Exec(ctx, "UPDATE idempotency_key SET "+column+" = 'x'"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.create(ctx, "k", "Berlin"); fault.From(err).Kind != fault.KindInternal {
			t.Errorf("%s: %v", column, err)
		}
	}
	f.shop.create = func(context.Context, uuid.UUID) error {
		f.db.Close()
		return nil
	}
	if _, _, err := f.create(ctx, "other", "Berlin"); err != nil {
		t.Errorf("the effect has happened, but the client hears %v", err)
	}
	if _, _, err := f.create(ctx, "third", "Berlin"); fault.From(err).Kind != fault.KindUnavailable {
		t.Errorf("without a database: %v", err)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := as(t.Context(), ada)
	for _, key := range []string{"old", "new"} {
		if _, _, err := f.create(ctx, key, "Berlin"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.db.Pool().Exec(ctx, "UPDATE idempotency_key SET create_time = now() - interval '25 hours' WHERE key = 'old'"); err != nil {
		t.Fatal(err)
	}
	if n, err := f.store.Purge(ctx); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if _, replayed, err := f.create(ctx, "new", "Berlin"); err != nil || !replayed {
		t.Errorf("new: replayed %t, %v", replayed, err)
	}
	if _, replayed, err := f.create(ctx, "old", "Bonn"); err != nil || replayed {
		t.Errorf("old: replayed %t, %v", replayed, err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := f.store.Run(stopped); err != nil {
		t.Error(err)
	}
}
