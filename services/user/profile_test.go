package user

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/fault"
)

func TestChangeValidate(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	tests := []struct {
		name   string
		change Change
		field  string
	}{
		{"nothing", Change{}, ""},
		{"all", Change{DisplayName: text("Ada"), Phone: text("+43 (1) 234-567/8"), Locale: text("zh-Hant-TW")}, ""},
		{"cleared", Change{DisplayName: text(""), Phone: text(""), Locale: text("")}, ""},
		{"200 characters", Change{DisplayName: text(strings.Repeat("語", 200))}, ""},
		{"201 characters", Change{DisplayName: text(strings.Repeat("a", 201))}, "user.displayName"},
		{"two lines", Change{DisplayName: text("Ada\r\nBcc: all@example.com")}, "user.displayName"},
		{"letters as phone", Change{Phone: text("ring me")}, "user.phone"},
		{"markup as phone", Change{Phone: text("<b>123</b>")}, "user.phone"},
		{"short phone", Change{Phone: text("12")}, "user.phone"},
		{"underscore in locale", Change{Locale: text("de_AT")}, "user.locale"},
		{"long locale", Change{Locale: text("de-a-b-c-d-e-f")}, "user.locale"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.change.validate()
			if f := fault.From(err); (err != nil) != (test.field != "") || f != nil && f.Field != test.field {
				t.Errorf("error = %v, want field %q", err, test.field)
			}
		})
	}
}

func TestChangeApply(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	name := " Ada "
	before := Profile{DisplayName: "x", Phone: "123", Locale: "de", Version: 4}
	after := Change{DisplayName: &name}.apply(before, now)
	if want := (Profile{DisplayName: "Ada", Phone: "123", Locale: "de", Version: 5, UpdateTime: now}); after != want {
		t.Errorf("%+v", after)
	}
	if after.Etag() != "5" {
		t.Errorf("etag %s", after.Etag())
	}
}

func FuzzParseEtag(f *testing.F) {
	for _, seed := range []string{"", "*", "1", `"7"`, `W/"7"`, "-1", "0", "9999999999999999999", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		version, err := parseEtag(text)
		switch {
		case err != nil && (!errors.Is(err, ErrStale) || version != 0):
			t.Errorf("%q: %d, %v", text, version, err)
		case err == nil && version < 0:
			t.Errorf("%q names version %d", text, version)
		case err == nil && version > 0:
			if again, err := parseEtag(Profile{Version: version}.Etag()); err != nil || again != version {
				t.Errorf("%q: %d, then %d, %v", text, version, again, err)
			}
		}
	})
}

func TestNewNeedsItsDependencies(t *testing.T) {
	t.Parallel()
	if _, err := New(nil, nil, nil, nil); err == nil {
		t.Error("a Service without dependencies")
	}
}
