package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHealthCommand(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ready":
			_, _ = w.Write([]byte("ok\n"))
		case "/slow":
			<-r.Context().Done()
		default:
			http.Error(w, "component order is not ready", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	tests := map[string]struct {
		path, wantErr string
	}{
		"ready":     {path: "/ready"},
		"not ready": {path: "/no", wantErr: "component order is not ready"},
		"hanging":   {path: "/slow", wantErr: "deadline"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := (&healthCommand{URL: server.URL + test.path, Timeout: 300 * time.Millisecond}).Run(t.Context(), streams{out: &out, err: &out})
			switch {
			case test.wantErr == "" && (err != nil || out.String() != "ok\n"):
				t.Errorf("got %q, %v", out.String(), err)
			case test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)):
				t.Errorf("error = %v, want %q", err, test.wantErr)
			}
		})
	}
}
