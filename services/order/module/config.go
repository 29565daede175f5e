// Package module starts the order component.
package module

import (
	"time"

	"github.com/commercestack/commercestack/services/order"
)

// Config of the component.
type Config struct {
	ReservationTTL time.Duration     `default:"15m" env:"COMMERCE_ORDER_RESERVATION_TTL" help:"How long an order waits for its payment before it expires."`
	PaymentHold    time.Duration     `default:"30m" env:"COMMERCE_ORDER_PAYMENT_HOLD" help:"How long an order waits for a payment that was started."`
	SweepInterval  time.Duration     `default:"15s" env:"COMMERCE_ORDER_SWEEP_INTERVAL" help:"How often orders are looked for that nobody paid."`
	Tax            map[string]int32  `default:"AT:standard=2000;AT:reduced=1000;BE:standard=2100;BE:reduced=600;DE:standard=1900;DE:reduced=700;ES:standard=2100;ES:reduced=1000;FR:standard=2000;FR:reduced=550;IE:standard=2300;IE:reduced=1350;IT:standard=2200;IT:reduced=1000;NL:standard=2100;NL:reduced=900;PL:standard=2300;PL:reduced=800" env:"COMMERCE_ORDER_TAX" help:"Tax in basis points by country and tax class, such as DE:standard=1900;DE:reduced=700. Other countries are not taxed, unknown classes are taxed as standard, the class exempt never."`
	HomeCountry    string            `env:"COMMERCE_ORDER_HOME_COUNTRY" help:"Country whose tax applies to orders without an address; empty leaves them untaxed."`
	Shipping       map[string]string `default:"EUR=490/5000" env:"COMMERCE_ORDER_SHIPPING" help:"Flat rate of a delivery by currency, in minor units, optionally with the goods' value from which it is free: EUR=490/5000;USD=600. What weighs nothing or has no address is not sent."`
}

func (c Config) settings(currency string) (order.Settings, error) {
	rates, err := order.NewRates(c.Tax, c.HomeCountry, c.Shipping)
	if err != nil {
		return order.Settings{}, err
	}
	return order.Settings{ReservationTTL: c.ReservationTTL, PaymentHold: c.PaymentHold, Rates: rates, Currency: currency}, nil
}
