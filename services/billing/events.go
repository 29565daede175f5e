package billing

import (
	"time"

	"github.com/commercestack/commercestack/internal/money"
)

// Fact is what the rest of the platform learns, in the transaction of the change.
type Fact interface{ fact() }

// Succeeded tells that the money for an order is there.
type Succeeded struct{ Payment Payment }

// Failed tells that collection was refused.
type Failed struct {
	Payment Payment
	// NextAttemptTime is zero when it is not tried again.
	NextAttemptTime time.Time
}

// Refunded tells that money went back.
type Refunded struct {
	Payment Payment
	Refund  Refund
	// Total is everything that went back of the payment so far.
	Total money.Money
}

// Issued tells that a document got its number.
type Issued struct{ Invoice Invoice }

func (Succeeded) fact() {}
func (Failed) fact()    {}
func (Refunded) fact()  {}
func (Issued) fact()    {}
