package stripesim

// The objects below carry the names and nullability of API version
// 2023-10-16. What only the simulator knows sits in Sim, which is stored with
// the object and never shown.

type address struct {
	City       *string `json:"city"`
	Country    *string `json:"country"`
	Line1      *string `json:"line1"`
	Line2      *string `json:"line2"`
	PostalCode *string `json:"postal_code"`
	State      *string `json:"state"`
}

type shipping struct {
	Address        address `json:"address"`
	Carrier        *string `json:"carrier"`
	Name           string  `json:"name"`
	Phone          *string `json:"phone"`
	TrackingNumber *string `json:"tracking_number"`
}

type billingDetails struct {
	Address address `json:"address"`
	Email   *string `json:"email"`
	Name    *string `json:"name"`
	Phone   *string `json:"phone"`
}

type customer struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	Address         *address          `json:"address"`
	Balance         int64             `json:"balance"`
	Created         int64             `json:"created"`
	Currency        *string           `json:"currency"`
	DefaultSource   *string           `json:"default_source"`
	Delinquent      bool              `json:"delinquent"`
	Description     *string           `json:"description"`
	Discount        any               `json:"discount"`
	Email           *string           `json:"email"`
	InvoicePrefix   string            `json:"invoice_prefix"`
	InvoiceSettings invoiceSettings   `json:"invoice_settings"`
	Livemode        bool              `json:"livemode"`
	Metadata        map[string]string `json:"metadata"`
	Name            *string           `json:"name"`
	Phone           *string           `json:"phone"`
	PreferredLocale []string          `json:"preferred_locales"`
	Shipping        *shipping         `json:"shipping"`
	TaxExempt       string            `json:"tax_exempt"`
	TestClock       *string           `json:"test_clock"`
	// Deleted is all that is left of a customer beside the id.
	Deleted bool `json:"deleted,omitempty"`
}

type invoiceSettings struct {
	CustomFields         any     `json:"custom_fields"`
	DefaultPaymentMethod *string `json:"default_payment_method"`
	Footer               *string `json:"footer"`
	RenderingOptions     any     `json:"rendering_options"`
}

type paymentMethod struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	BillingDetails billingDetails    `json:"billing_details"`
	Card           *card             `json:"card,omitempty"`
	USBankAccount  *bankAccount      `json:"us_bank_account,omitempty"`
	Created        int64             `json:"created"`
	Customer       *string           `json:"customer"`
	Livemode       bool              `json:"livemode"`
	Metadata       map[string]string `json:"metadata"`
	Type           string            `json:"type"`
	Sim            *methodSim        `json:"_sim,omitempty"`
}

// methodSim names the test behaviour and whether the method is used up:
// without a customer it pays once.
type methodSim struct {
	Behaviour string `json:"behaviour"`
	Consumed  bool   `json:"consumed"`
}

type card struct {
	Brand       string            `json:"brand"`
	Checks      cardChecks        `json:"checks"`
	Country     string            `json:"country"`
	ExpMonth    int               `json:"exp_month"`
	ExpYear     int               `json:"exp_year"`
	Fingerprint string            `json:"fingerprint"`
	Funding     string            `json:"funding"`
	Generated   any               `json:"generated_from"`
	Last4       string            `json:"last4"`
	Networks    cardNetworks      `json:"networks"`
	ThreeDS     map[string]bool   `json:"three_d_secure_usage"`
	Wallet      map[string]string `json:"wallet"`
}

type cardChecks struct {
	AddressLine1Check      *string `json:"address_line1_check"`
	AddressPostalCodeCheck *string `json:"address_postal_code_check"`
	CVCCheck               *string `json:"cvc_check"`
}

type cardNetworks struct {
	Available []string `json:"available"`
	Preferred *string  `json:"preferred"`
}

type bankAccount struct {
	AccountHolderType string `json:"account_holder_type"`
	AccountType       string `json:"account_type"`
	BankName          string `json:"bank_name"`
	Fingerprint       string `json:"fingerprint"`
	Last4             string `json:"last4"`
	RoutingNumber     string `json:"routing_number"`
}

type paymentIntent struct {
	ID                      string            `json:"id"`
	Object                  string            `json:"object"`
	Amount                  int64             `json:"amount"`
	AmountCapturable        int64             `json:"amount_capturable"`
	AmountDetails           map[string]any    `json:"amount_details"`
	AmountReceived          int64             `json:"amount_received"`
	Application             *string           `json:"application"`
	ApplicationFeeAmount    *int64            `json:"application_fee_amount"`
	AutomaticPaymentMethods *automaticMethods `json:"automatic_payment_methods"`
	CanceledAt              *int64            `json:"canceled_at"`
	CancellationReason      *string           `json:"cancellation_reason"`
	CaptureMethod           string            `json:"capture_method"`
	ClientSecret            string            `json:"client_secret"`
	ConfirmationMethod      string            `json:"confirmation_method"`
	Created                 int64             `json:"created"`
	Currency                string            `json:"currency"`
	Customer                *string           `json:"customer"`
	Description             *string           `json:"description"`
	Invoice                 *string           `json:"invoice"`
	LastPaymentError        any               `json:"last_payment_error"`
	LatestCharge            *string           `json:"latest_charge"`
	Livemode                bool              `json:"livemode"`
	Metadata                map[string]string `json:"metadata"`
	NextAction              any               `json:"next_action"`
	OnBehalfOf              *string           `json:"on_behalf_of"`
	PaymentMethod           *string           `json:"payment_method"`
	PaymentMethodOptions    map[string]any    `json:"payment_method_options"`
	PaymentMethodTypes      []string          `json:"payment_method_types"`
	Processing              any               `json:"processing"`
	ReceiptEmail            *string           `json:"receipt_email"`
	Review                  *string           `json:"review"`
	SetupFutureUsage        *string           `json:"setup_future_usage"`
	Shipping                *shipping         `json:"shipping"`
	Source                  *string           `json:"source"`
	StatementDescriptor     *string           `json:"statement_descriptor"`
	StatementDescriptorSuf  *string           `json:"statement_descriptor_suffix"`
	Status                  string            `json:"status"`
	TransferData            any               `json:"transfer_data"`
	TransferGroup           *string           `json:"transfer_group"`
	Sim                     *intentSim        `json:"_sim,omitempty"`
}

// intentSim keeps where the buyer goes after authentication.
type intentSim struct {
	ReturnURL string `json:"return_url"`
}

type automaticMethods struct {
	AllowRedirects string `json:"allow_redirects"`
	Enabled        bool   `json:"enabled"`
}

type charge struct {
	ID                   string            `json:"id"`
	Object               string            `json:"object"`
	Amount               int64             `json:"amount"`
	AmountCaptured       int64             `json:"amount_captured"`
	AmountRefunded       int64             `json:"amount_refunded"`
	Application          *string           `json:"application"`
	BalanceTransaction   *string           `json:"balance_transaction"`
	BillingDetails       billingDetails    `json:"billing_details"`
	StatementDescriptor  string            `json:"calculated_statement_descriptor"`
	Captured             bool              `json:"captured"`
	Created              int64             `json:"created"`
	Currency             string            `json:"currency"`
	Customer             *string           `json:"customer"`
	Description          *string           `json:"description"`
	Disputed             bool              `json:"disputed"`
	FailureCode          *string           `json:"failure_code"`
	FailureMessage       *string           `json:"failure_message"`
	FraudDetails         map[string]string `json:"fraud_details"`
	Invoice              *string           `json:"invoice"`
	Livemode             bool              `json:"livemode"`
	Metadata             map[string]string `json:"metadata"`
	Outcome              chargeOutcome     `json:"outcome"`
	Paid                 bool              `json:"paid"`
	PaymentIntent        string            `json:"payment_intent"`
	PaymentMethod        string            `json:"payment_method"`
	PaymentMethodDetails map[string]any    `json:"payment_method_details"`
	ReceiptEmail         *string           `json:"receipt_email"`
	ReceiptNumber        *string           `json:"receipt_number"`
	ReceiptURL           *string           `json:"receipt_url"`
	Refunded             bool              `json:"refunded"`
	Shipping             *shipping         `json:"shipping"`
	Status               string            `json:"status"`
	TransferGroup        *string           `json:"transfer_group"`
	Sim                  *chargeSim        `json:"_sim,omitempty"`
}

// chargeSim remembers how refunds of this charge go.
type chargeSim struct {
	Behaviour string `json:"behaviour"`
}

type chargeOutcome struct {
	NetworkStatus string  `json:"network_status"`
	Reason        *string `json:"reason"`
	RiskLevel     string  `json:"risk_level"`
	RiskScore     int     `json:"risk_score"`
	SellerMessage string  `json:"seller_message"`
	Type          string  `json:"type"`
}

type refund struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	Amount             int64             `json:"amount"`
	BalanceTransaction *string           `json:"balance_transaction"`
	Charge             string            `json:"charge"`
	Created            int64             `json:"created"`
	Currency           string            `json:"currency"`
	FailureReason      *string           `json:"failure_reason,omitempty"`
	Metadata           map[string]string `json:"metadata"`
	PaymentIntent      *string           `json:"payment_intent"`
	Reason             *string           `json:"reason"`
	ReceiptNumber      *string           `json:"receipt_number"`
	Status             string            `json:"status"`
}

type event struct {
	ID              string       `json:"id"`
	Object          string       `json:"object"`
	APIVersion      string       `json:"api_version"`
	Created         int64        `json:"created"`
	Data            eventData    `json:"data"`
	Livemode        bool         `json:"livemode"`
	PendingWebhooks int          `json:"pending_webhooks"`
	Request         eventRequest `json:"request"`
	Type            string       `json:"type"`
}

type eventData struct {
	Object   map[string]any `json:"object"`
	Previous map[string]any `json:"previous_attributes,omitempty"`
}

type eventRequest struct {
	ID             *string `json:"id"`
	IdempotencyKey *string `json:"idempotency_key"`
}
