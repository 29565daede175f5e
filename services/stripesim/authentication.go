package stripesim

import (
	"crypto/subtle"
	"errors"
	"html/template"
	"net/http"

	"github.com/jackc/pgx/v5"
)

// authenticationPage posts to addresses relative to its own, so that the
// simulator can be mounted below any path.
var authenticationPage = template.Must(template.New("3ds").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>3-D Secure test page</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:10vh auto;padding:0 1rem;color:#1a1f36;background:#f6f8fa}
main{background:#fff;border-radius:12px;padding:2rem;box-shadow:0 2px 12px #0002}
button{font:inherit;width:100%;padding:.75rem;margin-top:.75rem;border-radius:8px;border:1px solid #635bff;background:#635bff;color:#fff;cursor:pointer}
button.no{background:#fff;color:#635bff}
small{color:#697386}
</style>
</head>
<body><main>
<h1>3-D Secure</h1>
{{if .Waiting}}
<p>Your bank wants to know that it is you who pays <strong>{{.Amount}}</strong>.</p>
<form method="post" action="{{.ID}}/complete"><input type="hidden" name="client_secret" value="{{.Secret}}"><button id="complete">Complete</button></form>
<form method="post" action="{{.ID}}/fail"><input type="hidden" name="client_secret" value="{{.Secret}}"><button id="fail" class="no">Fail</button></form>
<p><small>This is a test page. No bank is asked and no money moves.</small></p>
{{else}}
<p>This payment of <strong>{{.Amount}}</strong> does not wait for authentication. Its status is <strong id="status">{{.Status}}</strong>.</p>
{{end}}
</main></body></html>
`))

// mountAuthentication adds the page of the bank. Who has the intent's client
// secret may decide, as at Stripe; without it the intent is not found.
func (s *Simulator) mountAuthentication(mux *http.ServeMux) {
	mux.HandleFunc("GET /sim/3ds/{id}", s.showAuthentication)
	mux.HandleFunc("POST /sim/3ds/{id}/complete", func(w http.ResponseWriter, r *http.Request) { s.authenticate(w, r, true) })
	mux.HandleFunc("POST /sim/3ds/{id}/fail", func(w http.ResponseWriter, r *http.Request) { s.authenticate(w, r, false) })
}

func (s *Simulator) showAuthentication(w http.ResponseWriter, r *http.Request) {
	var pi *paymentIntent
	err := pgx.BeginFunc(r.Context(), s.cfg.Pool, func(tx pgx.Tx) (err error) {
		pi, err = find[paymentIntent](r.Context(), tx, kindIntent, r.PathValue("id"))
		return err
	})
	if err == nil && !sameSecret(pi, r.URL.Query().Get("client_secret")) {
		err = errNotFound
	}
	if err != nil {
		s.pageError(w, err)
		return
	}
	s.showPage(w, pi)
}

func (s *Simulator) authenticate(w http.ResponseWriter, r *http.Request, passed bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	secret := r.FormValue("client_secret")
	var pi *paymentIntent
	err := pgx.BeginFunc(r.Context(), s.cfg.Pool, func(tx pgx.Tx) (err error) {
		work := &work{sim: s, tx: tx, now: s.now(), baseURL: s.cfg.PublicURL}
		pi, err = work.finishChallenge(r.Context(), r.PathValue("id"), secret, passed)
		return err
	})
	if err != nil {
		s.pageError(w, err)
		return
	}
	s.poke()
	if back := backURL(pi); back != "" {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	s.showPage(w, pi)
}

func sameSecret(pi *paymentIntent, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(pi.ClientSecret), []byte(secret)) == 1
}

func (s *Simulator) showPage(w http.ResponseWriter, pi *paymentIntent) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	err := authenticationPage.Execute(w, map[string]any{
		"ID": pi.ID, "Secret": pi.ClientSecret, "Amount": show(pi.Amount, pi.Currency),
		"Status": pi.Status, "Waiting": pi.Status == statusNeedsAction,
	})
	if err != nil {
		s.cfg.Logger.Debug("stripe simulator: page was not read", "error", err)
	}
}

func (s *Simulator) pageError(w http.ResponseWriter, err error) {
	if errors.Is(err, errNotFound) {
		http.Error(w, "There is no such payment.", http.StatusNotFound)
		return
	}
	s.cfg.Logger.Error("stripe simulator: authentication page", "error", err)
	http.Error(w, "The simulator could not reach its database.", http.StatusServiceUnavailable)
}
