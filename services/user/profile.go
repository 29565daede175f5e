package user

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Profile is what a person says of themself.
type Profile struct {
	// ID is the user's id.
	ID uuid.UUID
	// DisplayName is shown in mails and the dashboard.
	DisplayName string
	// Phone is a telephone number.
	Phone string
	// Locale is a BCP 47 language tag.
	Locale string
	// Version counts changes; it is the etag.
	Version int64
	// CreateTime and UpdateTime are when the profile was made and last changed.
	CreateTime, UpdateTime time.Time
}

// Etag is the profile's version for conditional updates.
func (p Profile) Etag() string { return strconv.FormatInt(p.Version, 10) }

// Account is the login behind a profile, which auth owns.
type Account struct {
	ID            uuid.UUID
	Email         string
	EmailVerified bool
	DisplayName   string
	Roles         []string
	Disabled      bool
	CreateTime    time.Time
}

// User is an account with its profile and, where asked for, its address book.
type User struct {
	Account   Account
	Profile   Profile
	Addresses []Address
}

// Change is a change of a profile; nil fields stay as they are.
type Change struct {
	DisplayName, Phone, Locale *string
}

var (
	phonePattern  = regexp.MustCompile(`^\+?[0-9][0-9 ()./-]{2,38}$`)
	localePattern = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$`)
)

// validate names the first field that no profile can have.
func (c Change) validate() error {
	if c.DisplayName != nil {
		if err := checkName(*c.DisplayName); err != nil {
			return err
		}
	}
	if c.Phone != nil && *c.Phone != "" && !phonePattern.MatchString(*c.Phone) {
		// A telephone number is personal: the error does not repeat it.
		return fault.Invalid("user.phone", "must be a telephone number, such as +43 1 234567")
	}
	if c.Locale != nil && *c.Locale != "" && !localePattern.MatchString(*c.Locale) {
		return fault.Invalid("user.locale", "must be a language tag, such as en or de-AT").WithField("user.locale", *c.Locale)
	}
	return nil
}

// checkName refuses what would break the line of a mail or of the dashboard.
func checkName(name string) error {
	if utf8.RuneCountInString(name) > 200 {
		return fault.Invalid("user.displayName", "must have at most 200 characters")
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return fault.Invalid("user.displayName", "must not hold control characters")
	}
	return nil
}

// apply returns the changed profile.
func (c Change) apply(p Profile, now time.Time) Profile {
	for target, value := range map[*string]*string{&p.DisplayName: c.DisplayName, &p.Phone: c.Phone, &p.Locale: c.Locale} {
		if value != nil {
			*target = strings.TrimSpace(*value)
		}
	}
	p.Version++
	p.UpdateTime = now
	return p
}

// parseEtag returns the version an etag names, 0 for no condition.
func parseEtag(etag string) (int64, error) {
	etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	if etag == "" || etag == "*" {
		return 0, nil
	}
	version, err := strconv.ParseInt(etag, 10, 64)
	if err != nil || version < 1 {
		return 0, ErrStale // no profile ever had it
	}
	return version, nil
}
