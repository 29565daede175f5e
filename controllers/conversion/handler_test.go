package conversion

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

var quiet = slog.New(slog.DiscardHandler)

func ask(t *testing.T, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler{quiet}.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path, body))
	return recorder
}

func TestHandlerAnswersReviews(t *testing.T) {
	t.Parallel()
	const older, newer = `{"apiVersion":"commercestack.dev/v1alpha1","kind":"CommerceStack","metadata":{"name":"a"},"spec":{"services":[],"x":9007199254740993}}`,
		`{"apiVersion":"commercestack.dev/v1beta1","kind":"CommerceStack","metadata":{"name":"a"},"spec":{"components":[],"x":9007199254740993}}`
	for name, c := range map[string]struct {
		objects, to string
		want        []string
		refusal     string
	}{
		"one":                 {older, "commercestack.dev/v1beta1", []string{newer}, ""},
		"both ways at once":   {older + "," + newer, "commercestack.dev/v1alpha1", []string{older, older}, ""},
		"none":                {"", "commercestack.dev/v1beta1", nil, ""},
		"an unknown version":  {older, "commercestack.dev/v1", nil, "object 0: apiVersion is commercestack.dev/v1alpha1"},
		"one that is not one": {older + `,["secret"]`, "commercestack.dev/v1beta1", nil, "object 1 is no JSON object"},
		"another kind":        {`{"kind":"Secret"}`, "commercestack.dev/v1beta1", nil, "object 0: kind is Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","request":{"uid":"u","desiredAPIVersion":"` + c.to + `","objects":[` + c.objects + `]}}`
			recorder := ask(t, strings.NewReader(body))
			review := &apiextensionsv1.ConversionReview{}
			if err := json.Unmarshal(recorder.Body.Bytes(), review); err != nil || recorder.Code != http.StatusOK {
				t.Fatalf("%d: %v", recorder.Code, err)
			}
			if review.Kind != "ConversionReview" || review.Request != nil || review.Response.UID != "u" {
				t.Errorf("the review is %+v", review)
			}
			if c.refusal != "" {
				if r := review.Response.Result; r.Status != metav1.StatusFailure || !strings.Contains(r.Message, c.refusal) || strings.Contains(r.Message, "secret") {
					t.Errorf("result %+v, want %q", r, c.refusal)
				}
				return
			}
			if len(review.Response.ConvertedObjects) != len(c.want) || review.Response.Result.Status != metav1.StatusSuccess {
				t.Fatalf("response %+v", review.Response)
			}
			for i, want := range c.want {
				if got := string(review.Response.ConvertedObjects[i].Raw); got != want {
					t.Errorf("object %d:\n got %s\nwant %s", i, got, want)
				}
			}
		})
	}
}

func TestHandlerRefusesWhatIsNoReview(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.Reader{
		"no JSON":    strings.NewReader("{"),
		"no request": strings.NewReader("{}"),
		"too much":   io.MultiReader(strings.NewReader(`{"request":{"uid":"`), strings.NewReader(strings.Repeat("x", maxBody)), strings.NewReader(`"}}`)),
	} {
		if recorder := ask(t, body); recorder.Code != http.StatusBadRequest {
			t.Errorf("%s is answered with %d", name, recorder.Code)
		}
	}
}

// broken is a connection on which nothing can be sent.
type broken struct{ *httptest.ResponseRecorder }

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestHandlerSurvivesACallerThatWentAway(t *testing.T) {
	t.Parallel()
	handler{quiet}.ServeHTTP(broken{httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path, strings.NewReader(`{"request":{}}`)))
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := func() Config {
		c := DefaultConfig()
		c.Namespace, c.Service, c.Port, c.Logger = "operators", "webhook", 9443, quiet
		return c
	}
	for want, change := range map[string]func(*Config){
		"namespace must be given": func(c *Config) { c.Namespace = "" },
		"Service that leads":      func(c *Config) { c.Service = "" },
		"port 0 is none":          func(c *Config) { c.Port = 0 },
		"port 70000 is none":      func(c *Config) { c.Port = 70000 },
		"a clock":                 func(c *Config) { c.Clock = nil },
		"a logger":                func(c *Config) { c.Logger = nil },
		"a period":                func(c *Config) { c.Period = 0 },
	} {
		config := good()
		change(&config)
		if _, err := New(&rest.Config{}, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
	server, err := New(&rest.Config{}, good())
	if err != nil {
		t.Fatal(err)
	}
	if server.Ready(nil) == nil {
		t.Error("it is ready without a certificate")
	}
	if _, err := server.certificate(nil); err == nil {
		t.Error("it has a certificate")
	}
	if _, err := New(&rest.Config{Host: "http://[", ContentConfig: rest.ContentConfig{}}, good()); err == nil {
		t.Error("an address that is none is taken")
	}
}
