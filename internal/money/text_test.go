package money_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/money"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, code string
		want       int64
		err        error
	}{
		{"19.99", "EUR", 1999, nil},
		{"19.9", "EUR", 1990, nil},
		{"19", "EUR", 1900, nil},
		{"-0.01", "EUR", -1, nil},
		{"-0", "EUR", 0, nil},
		{"00019.99", "EUR", 1999, nil},
		{"1999", "JPY", 1999, nil},
		{"1.234", "KWD", 1234, nil},
		{"92233720368547758.07", "EUR", math.MaxInt64, nil},
		{"-92233720368547758.08", "EUR", math.MinInt64, nil},
		{"92233720368547758.08", "EUR", 0, money.ErrOverflow},
		{"-92233720368547758.09", "EUR", 0, money.ErrOverflow},
		{"184467440737095516.16", "EUR", 0, money.ErrOverflow},
		{"999999999999999999999", "JPY", 0, money.ErrOverflow},
		{"19.999", "EUR", 0, money.ErrInvalidAmount},
		{"5.000", "EUR", 0, money.ErrInvalidAmount},
		{"1.0", "JPY", 0, money.ErrInvalidAmount},
		{"1.2345", "KWD", 0, money.ErrInvalidAmount},
		{"", "EUR", 0, money.ErrInvalidAmount},
		{"-", "EUR", 0, money.ErrInvalidAmount},
		{"--1", "EUR", 0, money.ErrInvalidAmount},
		{"+1", "EUR", 0, money.ErrInvalidAmount},
		{".5", "EUR", 0, money.ErrInvalidAmount},
		{"5.", "EUR", 0, money.ErrInvalidAmount},
		{"1,99", "EUR", 0, money.ErrInvalidAmount},
		{"1 000", "EUR", 0, money.ErrInvalidAmount},
		{"1_000", "EUR", 0, money.ErrInvalidAmount},
		{"1e3", "EUR", 0, money.ErrInvalidAmount},
		{"1.-5", "EUR", 0, money.ErrInvalidAmount},
		{"1.2.3", "KWD", 0, money.ErrInvalidAmount},
		{"NaN", "EUR", 0, money.ErrInvalidAmount},
		{"١٢", "EUR", 0, money.ErrInvalidAmount},
		{strings.Repeat("0", 33), "EUR", 0, money.ErrInvalidAmount},
		{"1", "eur", 0, money.ErrUnknownCurrency},
	}
	for _, tt := range tests {
		got, err := money.Parse(tt.text, tt.code)
		if !errors.Is(err, tt.err) {
			t.Errorf("Parse(%q, %s) error = %v, want %v", tt.text, tt.code, err, tt.err)
			continue
		}
		if want := (money.Money{CurrencyCode: tt.code, AmountMinor: tt.want}); err == nil && got != want {
			t.Errorf("Parse(%q, %s) = %v, want %v", tt.text, tt.code, got, want)
		}
	}
}

func TestDecimalAndString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		money money.Money
		want  string
	}{
		{eur(1999), "19.99 EUR"},
		{eur(-5), "-0.05 EUR"},
		{eur(0), "0.00 EUR"},
		{eur(math.MinInt64), "-92233720368547758.08 EUR"},
		{jpy(1999), "1999 JPY"},
		{money.Money{CurrencyCode: "KWD", AmountMinor: 1}, "0.001 KWD"},
		{money.Money{CurrencyCode: "???", AmountMinor: 12}, "12 ???"},
	}
	for _, tt := range tests {
		if got := tt.money.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	tests := []struct {
		money        money.Money
		locale, want string
	}{
		{eur(123456), "en", "€1,234.56"},
		{eur(123456), "de", "1.234,56\u00a0€"},
		{eur(-123456), "de-AT", "-€\u00a01.234,56"},
		{jpy(1999), "ja", "￥1,999"},
		{money.Money{CurrencyCode: "KWD", AmountMinor: 1234}, "en", "KWD\u00a01.234"},
		{eur(5), "xx-nowhere", "€0.05"},
		{money.Money{CurrencyCode: "???", AmountMinor: 5}, "en", "5 ???"},
	}
	for _, tt := range tests {
		if got := tt.money.Format(tt.locale); got != tt.want {
			t.Errorf("%v.Format(%q) = %q, want %q", tt.money, tt.locale, got, tt.want)
		}
	}
}

// Decimals come from the currency: a constant factor of 100 would survive a
// round trip through its own inverse, so the digits themselves are checked too.
func TestDecimalRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "CLF", "USD"}).Draw(t, "currency")
		m := money.Money{CurrencyCode: code, AmountMinor: rapid.Int64().Draw(t, "amount")}
		text := m.Decimal()
		back, err := money.Parse(text, code)
		if err != nil || back != m {
			t.Fatalf("%s came back as %v, %v", text, back, err)
		}
		exponent, err := money.Exponent(code)
		if err != nil {
			t.Fatal(err)
		}
		if _, fraction, _ := strings.Cut(text, "."); len(fraction) != exponent {
			t.Fatalf("%s %s has %d decimals, want %d", text, code, len(fraction), exponent)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"19.99", "-0.01", "1999", "1e9", ".", "-", "9223372036854775807", "0.000"} {
		f.Add(seed, "EUR")
		f.Add(seed, "JPY")
		f.Add(seed, "KWD")
	}
	f.Fuzz(func(t *testing.T, text, code string) {
		m, err := money.Parse(text, code)
		if err != nil {
			if m != (money.Money{}) {
				t.Fatalf("Parse(%q, %q) failed with %v but returned %v", text, code, err, m)
			}
			return
		}
		back, err := money.Parse(m.Decimal(), code)
		if err != nil || back != m {
			t.Fatalf("%q %s parsed as %v, which reads back as %v, %v", text, code, m, back, err)
		}
	})
}

// No line of the package may use a floating-point type or literal.
func TestNoFloats(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if n.Kind == token.FLOAT {
					t.Errorf("%s: literal %s", e.Name(), n.Value)
				}
			case *ast.Ident:
				if strings.HasPrefix(n.Name, "float") || strings.HasSuffix(n.Name, "Float") {
					t.Errorf("%s: identifier %s", e.Name(), n.Name)
				}
			}
			return true
		})
	}
	if checked == 0 {
		t.Fatal("no file was checked")
	}
}
