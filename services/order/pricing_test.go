package order

import (
	"errors"
	"math"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

func goods(currency string, price int64, quantity int32, class string, grams int64) Goods {
	return Goods{
		ProductID: uuid.Must(uuid.NewV7()), SKU: "S", Name: "Thing", UnitPrice: money.Money{CurrencyCode: currency, AmountMinor: price},
		Quantity: quantity, TaxClass: class, WeightGrams: grams,
	}
}

func euRates(t testing.TB) Rates {
	t.Helper()
	rates, err := NewRates(map[string]int32{"DE:standard": 1900, "DE:reduced": 700, "FR:standard": 2000}, "", map[string]string{"EUR": "490/5000"})
	if err != nil {
		t.Fatal(err)
	}
	return rates
}

func TestTrap10PriceAddsUpToTheCent(t *testing.T) {
	t.Parallel()
	germany := &Address{CountryCode: "DE"}
	for name, c := range map[string]struct {
		goods   []Goods
		coupon  *Coupon
		address *Address
		want    Amounts
	}{
		"plain, no address": {[]Goods{goods("EUR", 1999, 2, "", 100)}, nil, nil, Amounts{Subtotal: 3998, Total: 3998}},
		"tax and shipping": {
			[]Goods{goods("EUR", 1999, 2, "standard", 100)},
			nil, germany,
			Amounts{Subtotal: 3998, Tax: 760, Shipping: 490, Total: 5248},
		},
		"shipping free from 50.00": {
			[]Goods{goods("EUR", 5000, 1, "exempt", 100)}, nil, germany, Amounts{Subtotal: 5000, Total: 5000},
		},
		"a discount can cost the free shipping": {
			[]Goods{goods("EUR", 5000, 1, "exempt", 100)},
			&Coupon{PercentOffBps: 100}, germany,
			Amounts{Subtotal: 5000, Discount: 50, Shipping: 490, Total: 5440},
		},
		"digital goods are not sent": {
			[]Goods{goods("EUR", 1000, 1, "reduced", 0)}, nil, germany, Amounts{Subtotal: 1000, Tax: 70, Total: 1070},
		},
		"a third of a cent goes to the largest remainder": {
			[]Goods{goods("EUR", 333, 1, "", 0), goods("EUR", 333, 1, "", 0), goods("EUR", 334, 1, "", 0)},
			&Coupon{AmountOff: 100, Currency: "EUR"}, germany,
			// 300, 300 and 300 remain: 33+33+34 off; tax 57 each.
			Amounts{Subtotal: 1000, Discount: 100, Tax: 171, Total: 1071},
		},
		"tax is rounded once a line, not once a piece": {
			// 19 % of 0.03 is 0.0057: seven pieces owe 0.04, not 0.07.
			[]Goods{goods("EUR", 3, 7, "", 0)}, nil, germany, Amounts{Subtotal: 21, Tax: 4, Total: 25},
		},
		"yen have no minor unit": {[]Goods{goods("JPY", 1980, 3, "", 0)}, nil, nil, Amounts{Subtotal: 5940, Total: 5940}},
		"a coupon never pays out": {
			[]Goods{goods("EUR", 500, 1, "", 0)}, &Coupon{AmountOff: 900, Currency: "EUR"}, germany, Amounts{Subtotal: 500, Discount: 500},
		},
		"unknown country is not taxed, unknown class is taxed as standard": {
			[]Goods{goods("EUR", 1000, 1, "luxury", 0)}, nil, &Address{CountryCode: "FR"}, Amounts{Subtotal: 1000, Tax: 200, Total: 1200},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quote, err := Price(c.goods, c.coupon, euRates(t), c.address)
			if err != nil {
				t.Fatal(err)
			}
			if quote.Amounts != c.want {
				t.Errorf("got %+v, want %+v", quote.Amounts, c.want)
			}
			checkSums(t, quote)
		})
	}
}

type failer interface{ Errorf(string, ...any) }

func checkSums(t failer, q Quote) {
	var subtotal, discount, tax, total int64
	for _, l := range q.Lines {
		if l.Subtotal != l.UnitPrice*int64(l.Quantity) || l.Total != l.Subtotal-l.Discount+l.Tax ||
			l.Discount < 0 || l.Discount > l.Subtotal || l.Tax < 0 {
			t.Errorf("line does not add up: %+v", l)
		}
		subtotal, discount, tax, total = subtotal+l.Subtotal, discount+l.Discount, tax+l.Tax, total+l.Total
	}
	if subtotal != q.Subtotal || discount != q.Discount || tax != q.Tax || total != q.Total-q.Shipping {
		t.Errorf("lines do not sum to the order: %+v", q)
	}
	if q.Total != q.Subtotal-q.Discount+q.Tax+q.Shipping || q.Total < 0 {
		t.Errorf("total does not add up: %+v", q.Amounts)
	}
}

func TestTrap10LinesSumToTheOrderForAnyGoods(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []Goods
		for range rapid.IntRange(1, 12).Draw(t, "lines") {
			list = append(list, goods("EUR", rapid.Int64Range(0, 5_000_000).Draw(t, "price"), rapid.Int32Range(1, 500).Draw(t, "quantity"),
				rapid.SampledFrom([]string{"", "standard", "reduced", "exempt"}).Draw(t, "class"), rapid.Int64Range(0, 1000).Draw(t, "grams")))
		}
		var coupon *Coupon
		switch rapid.IntRange(0, 2).Draw(t, "coupon") {
		case 1:
			coupon = &Coupon{PercentOffBps: rapid.Int32Range(1, 10_000).Draw(t, "bps")}
		case 2:
			coupon = &Coupon{AmountOff: rapid.Int64Range(1, 10_000_000).Draw(t, "off"), Currency: "EUR"}
		}
		rates := Rates{Tax: map[string]int32{"DE:standard": rapid.Int32Range(0, 10_000).Draw(t, "rate"), "DE:reduced": 700}, Shipping: map[string]FlatRate{"EUR": {Price: 490}}}
		quote, err := Price(list, coupon, rates, &Address{CountryCode: "DE"})
		if err != nil {
			t.Fatal(err)
		}
		checkSums(t, quote)
	})
}

func TestPriceRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		goods  []Goods
		coupon *Coupon
		field  string
		reason string
	}{
		"nothing":                  {nil, nil, "items", fault.ReasonInvalidInput},
		"mixed currencies":         {[]Goods{goods("EUR", 1, 1, "", 0), goods("USD", 1, 1, "", 0)}, nil, "", "CURRENCY_MIX"},
		"Trap11 negative quantity": {[]Goods{goods("EUR", 100, -1, "", 0)}, nil, "items", fault.ReasonInvalidInput},
		"negative price":           {[]Goods{goods("EUR", -100, 1, "", 0)}, nil, "items", fault.ReasonInvalidInput},
		"overflow of a line":       {[]Goods{goods("EUR", math.MaxInt64, 2, "", 0)}, nil, "items", fault.ReasonInvalidInput},
		"overflow of a sum":        {[]Goods{goods("EUR", math.MaxInt64, 1, "", 0), goods("EUR", math.MaxInt64, 1, "", 0)}, nil, "items", fault.ReasonInvalidInput},
		"beyond the API":           {[]Goods{goods("EUR", maxTotal, 2, "", 0)}, nil, "items", fault.ReasonInvalidInput},
		"coupon's currency":        {[]Goods{goods("EUR", 100, 1, "", 0)}, &Coupon{AmountOff: 1, Currency: "USD"}, "couponCode", fault.ReasonInvalidInput},
		"coupon's minimum":         {[]Goods{goods("EUR", 100, 1, "", 0)}, &Coupon{AmountOff: 1, MinimumSubtotal: 101, Currency: "EUR"}, "couponCode", fault.ReasonInvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Price(c.goods, c.coupon, euRates(t), nil)
			if f := fault.From(err); f == nil || f.Reason != c.reason || f.Field != c.field {
				t.Errorf("got %v, want %s on %q", err, c.reason, c.field)
			}
		})
	}
}

func TestNewRatesNamesTheWrongEntry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tax      map[string]int32
		shipping map[string]string
	}{
		"no class":            {map[string]int32{"DE": 1}, nil},
		"lower case":          {map[string]int32{"de:standard": 1}, nil},
		"empty class":         {map[string]int32{"DE:": 1}, nil},
		"negative rate":       {map[string]int32{"DE:standard": -1}, nil},
		"more than the price": {map[string]int32{"DE:standard": 10_001}, nil},
		"unknown currency":    {nil, map[string]string{"XYZ": "1"}},
		"no amount":           {nil, map[string]string{"EUR": "free"}},
		"negative amount":     {nil, map[string]string{"EUR": "-1"}},
		"bad threshold":       {nil, map[string]string{"EUR": "1/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := NewRates(c.tax, "", c.shipping); err == nil {
				t.Error("accepted")
			}
		})
	}
	rates, err := NewRates(map[string]int32{"DE:standard": 1900}, "DE", map[string]string{"USD": "600"})
	if err != nil {
		t.Fatal(err)
	}
	if rates.taxBps("", nil) != 1900 {
		t.Error("the home country's tax does not apply without an address")
	}
	if rates.shipping("USD", 1<<40, 1, &Address{}) != 600 {
		t.Error("a rate without a threshold became free")
	}
}

func TestSumItemsSumsEachProductOnce(t *testing.T) {
	t.Parallel()
	a, b := uuid.New(), uuid.New()
	got, err := sumItems([]Item{{a, 2}, {b, 1}, {a, 3}})
	if err != nil || len(got) != 2 || got[0] != (Item{a, 5}) || got[1] != (Item{b, 1}) {
		t.Fatalf("got %v, %v", got, err)
	}
	for name, items := range map[string][]Item{
		"Trap11 negative": {{a, -1}}, "zero": {{a, 0}}, "too many": {{a, maxQuantity + 1}},
		"too many in sum": {{a, maxQuantity}, {a, 1}}, "too many lines": make([]Item, maxItems+1),
	} {
		if _, err := sumItems(items); fault.From(err) == nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestStatusMovesOnlyForward(t *testing.T) {
	t.Parallel()
	allowed := map[[2]Status]bool{
		{StatusPending, StatusConfirmed}: true, {StatusPending, StatusCancelled}: true, {StatusPending, StatusExpired}: true,
		{StatusConfirmed, StatusFulfilled}: true, {StatusConfirmed, StatusCancelled}: true, {StatusFulfilled, StatusCompleted}: true,
	}
	for _, from := range Statuses() {
		for _, to := range Statuses() {
			if from.CanBecome(to) != allowed[[2]Status{from, to}] {
				t.Errorf("%s → %s: got %t", from, to, from.CanBecome(to))
			}
		}
		if from.Final() != (from == StatusCompleted || from == StatusCancelled || from == StatusExpired) {
			t.Errorf("%s: final is %t", from, from.Final())
		}
	}
	if Status("").CanBecome(StatusPending) || Status("NEW").Paid() {
		t.Error("an unknown state moves")
	}
	rapid.Check(t, func(t *rapid.T) {
		// However an order moves, it never comes back to a state it left.
		seen := map[Status]bool{}
		for s := StatusPending; !s.Final(); s = rapid.SampledFrom(s.next()).Draw(t, "next") {
			if seen[s] {
				t.Fatalf("%s again", s)
			}
			seen[s] = true
		}
	})
}

func TestSettlementIsDecidedByTheOrderAlone(t *testing.T) {
	t.Parallel()
	euro := money.Money{CurrencyCode: "EUR", AmountMinor: 100}
	of := func(s Status) Order { return Order{Status: s, Currency: "EUR", Amounts: Amounts{Total: 100}} }
	for name, c := range map[string]struct {
		order  Order
		paid   Payment
		amount money.Money
		gone   bool
		want   settlement
	}{
		"good":                    {of(StatusPending), Payment{}, euro, false, settleAccept},
		"announced":               {of(StatusPending), Payment{Status: PaymentStarted}, euro, false, settleAccept},
		"failure was told before": {of(StatusPending), Payment{Status: PaymentFailed}, euro, false, settleAccept},
		"Trap15 told twice":       {of(StatusConfirmed), Payment{Status: PaymentSucceeded}, euro, false, settleKnown},
		"rejected before":         {of(StatusCancelled), Payment{Status: PaymentRejected}, euro, false, settleKnown},
		"Trap07 cancelled":        {of(StatusCancelled), Payment{}, euro, false, settleReturn},
		"Trap07 expired":          {of(StatusExpired), Payment{}, euro, false, settleReturn},
		"Trap05 paid by another":  {of(StatusConfirmed), Payment{}, euro, false, settleSurplus},
		"delivered":               {of(StatusCompleted), Payment{}, euro, false, settleSurplus},
		"stock gone":              {of(StatusPending), Payment{}, euro, true, settleUndo},
		"Trap08 too little":       {of(StatusPending), Payment{}, money.Money{CurrencyCode: "EUR", AmountMinor: 99}, false, settleUndo},
		"Trap08 other currency":   {of(StatusPending), Payment{}, money.Money{CurrencyCode: "JPY", AmountMinor: 100}, false, settleUndo},
		"refunded before":         {of(StatusPending), Payment{Refunded: 100}, euro, false, settleReturned},
		"partly refunded before":  {of(StatusPending), Payment{Refunded: 1}, euro, false, settleAccept},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := settlementOf(c.order, c.paid, c.amount, c.gone); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestCouponValidateNamesTheField(t *testing.T) {
	t.Parallel()
	good := Coupon{Code: "SPRING-10", PercentOffBps: 1000}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Coupon){
		"coupon.code":                      func(c *Coupon) { c.Code = "no spaces" },
		"coupon.percentOffBps":             func(c *Coupon) { c.PercentOffBps = 10_001 },
		"coupon.amountOff":                 func(c *Coupon) { c.PercentOffBps, c.AmountOff = 0, 5 },
		"coupon.minimumSubtotal":           func(c *Coupon) { c.MinimumSubtotal = -1 },
		"coupon.maxRedemptions":            func(c *Coupon) { c.MaxRedemptions = -1 },
		"coupon.maxRedemptionsPerCustomer": func(c *Coupon) { c.MaxPerCustomer = -1 },
		"coupon.endTime":                   func(c *Coupon) { c.EndTime = c.StartTime.Add(-1) },
	} {
		c := good
		change(&c)
		if f := fault.From(c.Validate()); f == nil || f.Field != field {
			t.Errorf("%s: got %v", field, c.Validate())
		}
	}
	for name, c := range map[string]Coupon{
		"both discounts":   {Code: "ABC", PercentOffBps: 1, AmountOff: 1, Currency: "EUR"},
		"none":             {Code: "ABC"},
		"negative amount":  {Code: "ABC", PercentOffBps: 1, AmountOff: -1},
		"unknown currency": {Code: "ABC", AmountOff: 1, Currency: "XYZ"},
	} {
		if fault.From(c.Validate()) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestListInputKeepsOthersOrdersToAdministrators(t *testing.T) {
	t.Parallel()
	user, other := uuid.New(), uuid.New()
	for name, c := range map[string]struct {
		in   ListInput
		want fault.Kind
	}{
		"guest":     {ListInput{Caller: Caller{GuestTokenHash: "x"}}, fault.KindAuthFailed},
		"all":       {ListInput{Caller: Caller{UserID: user}, All: true}, fault.KindUnauthorized},
		"search":    {ListInput{Caller: Caller{UserID: user}, Text: "a"}, fault.KindUnauthorized},
		"another's": {ListInput{Caller: Caller{UserID: user}, UserID: other}, fault.KindUnauthorized},
	} {
		if _, err := c.in.query(); fault.From(err) == nil || fault.From(err).Kind != c.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
	q, err := ListInput{Caller: Caller{UserID: user, GuestTokenHash: "x"}, UserID: user, Size: 1000}.query()
	if err != nil || q.Owner != (Owner{UserID: user}) || q.Limit != maxPage+1 {
		t.Errorf("got %+v, %v", q, err)
	}
	if q, _ := (ListInput{Caller: Caller{UserID: user, Admin: true}, All: true}).query(); !q.Owner.Everyone || q.Limit != defaultPage+1 {
		t.Errorf("got %+v", q)
	}
	if _, err := (Caller{}).owner(); !errors.Is(err, fault.AuthFailed("")) {
		t.Errorf("a caller without any proof: %v", err)
	}
}
