package storefront

import (
	"net/http"
	"time"

	"github.com/commercestack/commercestack/internal/browser"
)

const (
	basketCookie = "basket"
	// basketLife is how long a browser keeps a guest's cart and orders.
	basketLife = 90 * 24 * time.Hour
	// maxPlaced bounds the cookie; older orders of a guest are found through their mails.
	maxPlaced = 10
)

// basket is what the browser keeps of a cart and of orders. It holds secrets
// and is sealed.
type basket struct {
	CartID string `json:"c,omitempty"`
	// CartToken opens a guest's cart; "" for a user's.
	CartToken string `json:"t,omitempty"`
	// Owner is the user id of the cart's owner, "" for a guest.
	Owner  string `json:"o,omitempty"`
	Pieces int32  `json:"n,omitempty"`
	// Placed are the latest orders, newest last.
	Placed []placed `json:"p,omitempty"`
}

// placed is an order that this browser made or paid.
type placed struct {
	OrderID string `json:"o"`
	// Token opens a guest's order; "" for a user's.
	Token string `json:"t,omitempty"`
	// PaymentID is a guest's latest payment: guests cannot list theirs.
	PaymentID string `json:"p,omitempty"`
}

// basket returns the visitor's basket. A cart of somebody who logged in or out
// since is not the visitor's.
func (s *Storefront) basket(r *http.Request, v *browser.Visit) basket {
	var b basket
	if !s.site.ReadCookie(r, basketCookie, &b) {
		return basket{}
	}
	if b.Owner != v.Identity.UserID {
		b.dropCart()
	}
	return b
}

func (s *Storefront) keepBasket(w http.ResponseWriter, b basket) error {
	return s.site.WriteCookie(w, basketCookie, b, basketLife)
}

func (b *basket) dropCart() { b.CartID, b.CartToken, b.Owner, b.Pieces = "", "", "", 0 }

// order returns what is known of an order; the zero value for another's.
func (b *basket) order(id string) placed {
	for _, p := range b.Placed {
		if p.OrderID == id {
			return p
		}
	}
	return placed{OrderID: id}
}

// remember puts an order last and forgets the oldest.
func (b *basket) remember(p placed) {
	kept := make([]placed, 0, len(b.Placed)+1)
	for _, known := range b.Placed {
		if known.OrderID != p.OrderID {
			kept = append(kept, known)
		}
	}
	kept = append(kept, p)
	b.Placed = kept[max(0, len(kept)-maxPlaced):]
}
