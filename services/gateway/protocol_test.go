package gateway

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
)

func TestEveryProtocolPasses(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	protocols := map[string][]connecthttp.Option{
		"Connect": nil, "gRPC": {connecthttp.WithGRPC()}, "gRPC-Web": {connecthttp.WithGRPCWeb()},
	}
	for place, change := range map[string]func(*Options){"in one process": nil, "over the network": apart(t, behind)} {
		d := newDoor(t, behind, change)
		for name, options := range protocols {
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				transport := &http.Transport{Protocols: new(http.Protocols)}
				transport.Protocols.SetUnencryptedHTTP2(true)
				t.Cleanup(transport.CloseIdleConnections)
				client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, d.url, options...))
				answer, err := productv1connect.NewProductServiceClient(client).ListProducts(t.Context(), &productv1.ListProductsRequest{Q: name})
				if err != nil || len(answer.GetProducts()) != 20 || answer.GetProducts()[0].GetName() != "Shirt "+name {
					t.Fatalf("%v (%v)", answer, err)
				}
				_, err = orderv1connect.NewOrderServiceClient(client).ListOrders(t.Context(), &orderv1.ListOrdersRequest{})
				if connect.CodeOf(err) != connect.CodeUnauthenticated {
					t.Errorf("without a token: %v", err)
				}
				_, err = productv1connect.NewProductServiceClient(client).GetProduct(t.Context(), &productv1.GetProductRequest{ProductId: "nonsense"})
				if connect.CodeOf(err) != connect.CodeInvalidArgument {
					t.Errorf("a refusal of the component: %v", err)
				}
				_, err = productv1connect.NewStockServiceClient(client).ReserveStock(t.Context(), &productv1.ReserveStockRequest{})
				if connect.CodeOf(err) != connect.CodeNotFound {
					t.Errorf("a method of components: %v", err)
				}
			})
		}
	}
}

func TestGRPCWebFromABrowser(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), func(o *Options) { o.Config.CORSOrigins = []string{"https://shop.example"} })
	message, err := proto.Marshal(&productv1.ListProductsRequest{Q: "web"})
	if err != nil {
		t.Fatal(err)
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	request, err := http.NewRequestWithContext(t.Context(), "POST", d.url+"/commerce.product.v1.ProductService/ListProducts", bytes.NewReader(frame))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc-web+proto")
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("Origin", "https://shop.example")
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(strings.ToLower(string(content)), "grpc-status: 0") && !strings.Contains(strings.ToLower(string(content)), "grpc-status:0") {
		t.Errorf("%d %v: no trailer in %d bytes (%v)", response.StatusCode, response.Header, len(content), err)
	}
	if response.Header.Get("Content-Encoding") != "" || response.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("headers %v", response.Header)
	}
}

func TestConnectReadsByGetAreCacheable(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	got := d.call(t, "GET", "/commerce.product.v1.ProductService/ListProducts?connect=v1&encoding=json&message=%7B%7D", "")
	if got.status != 200 || !strings.Contains(got.text, "Shirt") {
		t.Errorf("%d %s", got.status, got.text)
	}
	if got := d.call(t, "GET", "/commerce.order.v1.OrderService/PlaceOrder?connect=v1&encoding=json&message=%7B%7D", ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("a write by GET: %d", got.status)
	}
}

func TestHealthService(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), nil)
	if got := d.call(t, "POST", "/grpc.health.v1.Health/Check", "{}", d.bearer(t, userID, time.Hour)); got.status != 200 || !strings.Contains(got.text, "SERVING") {
		t.Errorf("%d %s", got.status, got.text)
	}
}
