package browser

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

// maxCookie is what browsers keep of one cookie, in bytes.
const maxCookie = 4000

// cookieName carries the prefix that makes browsers refuse the cookie when an
// insecure page or another host tries to plant it.
func (s *Site) cookieName(name string) string {
	switch {
	case !s.secure:
		return name
	case s.config.Path == "/":
		return "__Host-" + name
	default:
		return "__Secure-" + name
	}
}

// ReadCookie opens a sealed cookie into value and reports whether there was one that opened.
func (s *Site) ReadCookie(r *http.Request, name string, value any) bool {
	cookie, err := r.Cookie(s.cookieName(name))
	if err != nil {
		return false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return false
	}
	// The name is authenticated: a sealed value of another cookie does not open here.
	plain, err := s.config.Keyring.Open(sealed, []byte("cookie/"+name))
	return err == nil && json.Unmarshal(plain, value) == nil
}

// WriteCookie seals value into a cookie that scripts cannot read. A life of 0
// ends it with the browser. A value that browsers would not keep is an error.
func (s *Site) WriteCookie(w http.ResponseWriter, name string, value any, life time.Duration) error {
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	sealed, err := s.config.Keyring.Seal(plain, []byte("cookie/"+name))
	if err != nil {
		return err
	}
	text := base64.RawURLEncoding.EncodeToString(sealed)
	if len(text) > maxCookie {
		return errCookieTooLarge
	}
	s.setCookie(w, name, text, int(life/time.Second))
	return nil
}

// DropCookie deletes a cookie.
func (s *Site) DropCookie(w http.ResponseWriter, name string) { s.setCookie(w, name, "", -1) }

func (s *Site) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	cookie := &http.Cookie{ //nolint:gosec // Secure and SameSite follow the shop's address and configuration
		Name: s.cookieName(name), Value: value, Path: s.config.Path, MaxAge: maxAge,
		HttpOnly: true, Secure: s.secure, SameSite: s.config.SameSite,
	}
	// A later decision of the same request replaces an earlier one.
	header, prefix := w.Header(), cookie.Name+"="
	kept := header["Set-Cookie"][:0]
	for _, line := range header["Set-Cookie"] {
		if len(line) < len(prefix) || line[:len(prefix)] != prefix {
			kept = append(kept, line)
		}
	}
	header["Set-Cookie"] = append(kept, cookie.String())
}
