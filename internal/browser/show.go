package browser

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/money"
)

// Show renders a page completely before anything is sent, so a page that
// cannot be rendered becomes an error page and never half a page.
func Show(w http.ResponseWriter, r *http.Request, status int, page templ.Component) error {
	var b bytes.Buffer
	if err := page.Render(r.Context(), &b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a browser that went away needs no answer
	return nil
}

// Price returns an amount as people read it, such as "€19.99"; "" for none.
func Price(m *typev1.Money) string {
	if m.GetCurrencyCode() == "" {
		return ""
	}
	return money.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: m.GetAmountMinor()}.Format("en")
}

// Time returns a time to the minute in UTC, such as "24 Nov 2026, 17:05 UTC"; "" for none.
func Time(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2 Jan 2006, 15:04 UTC")
}

// Machine returns a time for the datetime attribute.
func Machine(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}
