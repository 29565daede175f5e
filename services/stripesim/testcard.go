package stripesim

import "strings"

// behaviour is how a test payment method acts when money is asked of it.
type behaviour struct {
	decline *decline
	// attachFails tells that the bank already refuses when the card is saved.
	attachFails bool
	// challenge tells that the buyer must authenticate first.
	challenge bool
	// slow tells that the answer of the bank comes later.
	slow bool
	// never tells that a slow answer stays out.
	never bool
	// refund is "", refundPending or refundFails.
	refund string
}

const (
	refundPending = "pending"
	refundFails   = "fails"
)

// decline is a bank's no as it appears in a card error.
type decline struct {
	code        string
	declineCode string
	message     string
	blocked     bool
}

var (
	declined          = &decline{code: "card_declined", declineCode: "generic_decline", message: "Your card was declined."}
	insufficientFunds = &decline{code: "card_declined", declineCode: "insufficient_funds", message: "Your card has insufficient funds."}
	lostCard          = &decline{code: "card_declined", declineCode: "lost_card", message: "Your card was declined."}
	stolenCard        = &decline{code: "card_declined", declineCode: "stolen_card", message: "Your card was declined."}
	velocity          = &decline{code: "card_declined", declineCode: "card_velocity_exceeded", message: "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."}
	fraudulent        = &decline{code: "card_declined", declineCode: "fraudulent", message: "Your card was declined.", blocked: true}
	expiredCard       = &decline{code: "expired_card", message: "Your card has expired."}
	incorrectCVC      = &decline{code: "incorrect_cvc", message: "Your card's security code is incorrect."}
	processingError   = &decline{code: "processing_error", message: "An error occurred while processing your card. Try again in a little bit."}
	authRequired      = &decline{code: "authentication_required", declineCode: "authentication_required", message: "Your card was declined. This transaction requires authentication."}
	accountClosed     = &decline{code: "payment_method_provider_decline", declineCode: "account_closed", message: "The customer's bank account has been closed."}
	bankFunds         = &decline{code: "payment_method_provider_decline", declineCode: "insufficient_funds", message: "The customer's account has insufficient funds to cover this payment."}
)

// testMethod is one of the payment methods that Stripe offers in test mode.
type testMethod struct {
	name    string
	brand   string
	number  string
	country string
	funding string
	bank    bool
	behaviour
}

func (m *testMethod) last4() string { return m.number[len(m.number)-4:] }

var testMethods = indexMethods([]testMethod{
	{name: "visa", brand: "visa", number: "4242424242424242"},
	{name: "visa_debit", brand: "visa", number: "4000056655665556", funding: "debit"},
	{name: "mastercard", brand: "mastercard", number: "5555555555554444"},
	{name: "mastercard_debit", brand: "mastercard", number: "5200828282828210", funding: "debit"},
	{name: "mastercard_prepaid", brand: "mastercard", number: "5105105105105100", funding: "prepaid"},
	{name: "amex", brand: "amex", number: "378282246310005"},
	{name: "discover", brand: "discover", number: "6011111111111117"},
	{name: "diners", brand: "diners", number: "3056930009020004"},
	{name: "jcb", brand: "jcb", number: "3566002020360505"},
	{name: "unionpay", brand: "unionpay", number: "6200000000000005"},
	{name: "us", brand: "visa", number: "4242424242424242"},
	{name: "de", brand: "visa", number: "4000002760000016", country: "DE"},
	{name: "fr", brand: "visa", number: "4000002500000003", country: "FR"},
	{name: "gb", brand: "visa", number: "4000008260000000", country: "GB"},
	{name: "jp", brand: "visa", number: "4000003920000003", country: "JP"},

	{name: "chargeDeclined", number: "4000000000000002", behaviour: behaviour{decline: declined, attachFails: true}},
	{name: "chargeDeclinedInsufficientFunds", number: "4000000000009995", behaviour: behaviour{decline: insufficientFunds, attachFails: true}},
	{name: "chargeDeclinedLostCard", number: "4000000000009987", behaviour: behaviour{decline: lostCard, attachFails: true}},
	{name: "chargeDeclinedStolenCard", number: "4000000000009979", behaviour: behaviour{decline: stolenCard, attachFails: true}},
	{name: "chargeDeclinedExpiredCard", number: "4000000000000069", behaviour: behaviour{decline: expiredCard, attachFails: true}},
	{name: "chargeDeclinedIncorrectCvc", number: "4000000000000127", behaviour: behaviour{decline: incorrectCVC, attachFails: true}},
	{name: "chargeDeclinedProcessingError", number: "4000000000000119", behaviour: behaviour{decline: processingError, attachFails: true}},
	{name: "chargeDeclinedVelocityLimitExceeded", number: "4000000000006975", behaviour: behaviour{decline: velocity, attachFails: true}},
	{name: "chargeDeclinedFraudulent", number: "4100000000000019", behaviour: behaviour{decline: fraudulent}},
	{name: "chargeCustomerFail", number: "4000000000000341", behaviour: behaviour{decline: declined}},

	{name: "authenticationRequired", number: "4000002760003184", country: "DE", behaviour: behaviour{challenge: true}},
	{name: "authenticationRequiredOnSetup", number: "4000002500003155", country: "FR", behaviour: behaviour{challenge: true}},
	{
		name: "authenticationRequiredChargeDeclinedInsufficientFunds", number: "4000008260003178", country: "GB",
		behaviour: behaviour{challenge: true, decline: insufficientFunds},
	},
	{name: "threeDSecure2Required", number: "4000000000003220", behaviour: behaviour{challenge: true}},
	{name: "threeDSecureRequired", number: "4000000000003063", behaviour: behaviour{challenge: true}},
	{name: "threeDSecureRequiredChargeDeclined", number: "4000008400001629", behaviour: behaviour{challenge: true, decline: declined}},
	{name: "threeDSecureOptional", number: "4000000000003055"},

	{name: "pendingRefund", number: "4000000000007726", behaviour: behaviour{refund: refundPending}},
	{name: "refundFail", number: "4000000000005126", behaviour: behaviour{refund: refundFails}},

	{name: "usBankAccount", number: "000123456789", bank: true, behaviour: behaviour{slow: true}},
	{name: "usBankAccount_accountClosed", number: "000111111113", bank: true, behaviour: behaviour{slow: true, decline: accountClosed}},
	{name: "usBankAccount_insufficientFunds", number: "000222222227", bank: true, behaviour: behaviour{slow: true, decline: bankFunds}},
	{name: "usBankAccount_processing", number: "000000004954", bank: true, behaviour: behaviour{slow: true, never: true}},
})

// methodIndex finds test methods by name, by the ids under which Stripe
// offers them, and by card number.
type methodIndex struct {
	byName   map[string]*testMethod
	byID     map[string]*testMethod
	byNumber map[string]*testMethod
}

func indexMethods(methods []testMethod) methodIndex {
	ix := methodIndex{
		byName:   make(map[string]*testMethod),
		byID:     make(map[string]*testMethod),
		byNumber: make(map[string]*testMethod),
	}
	for i := range methods {
		m := &methods[i]
		m.brand = orElse(m.brand, "visa")
		m.country = orElse(m.country, "US")
		m.funding = orElse(m.funding, "credit")
		ix.byName[m.name] = m
		if m.bank {
			ix.byID["pm_"+m.name] = m
			continue
		}
		ix.byID["pm_card_"+m.name] = m
		ix.byID["tok_"+m.name] = m
		if strings.HasPrefix(m.name, "charge") {
			ix.byID["pm_card_visa_"+m.name] = m
			ix.byID["tok_visa_"+m.name] = m
		}
		if _, taken := ix.byNumber[m.number]; !taken {
			ix.byNumber[m.number] = m
		}
	}
	return ix
}

func orElse(s, absent string) string {
	if s == "" {
		return absent
	}
	return s
}
