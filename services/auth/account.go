package auth

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// The roles of accounts. A caller without an account is a guest.
const (
	RoleAdmin = "admin"
	RoleUser  = "user"
)

// The limits of a password, in characters.
const (
	passwordMin = 8
	passwordMax = 256
)

// Account is a person's login.
type Account struct {
	// ID is the user's id everywhere on the platform.
	ID uuid.UUID
	// Email is the address in lower case.
	Email string
	// DisplayName was given at registration.
	DisplayName string
	// PasswordHash is the encoded Argon2id hash.
	PasswordHash string
	// EmailVerifiedTime is when a verification mail was answered, zero before.
	EmailVerifiedTime time.Time
	// Roles are RoleAdmin and RoleUser.
	Roles []string
	// Disabled forbids logins.
	Disabled bool
	// CreateTime is when the account was created.
	CreateTime time.Time
}

// Verified reports whether the owner of the address answered a mail.
func (a Account) Verified() bool { return !a.EmailVerifiedTime.IsZero() }

// Admin reports whether the account may do everything and can log in.
func (a Account) Admin() bool { return !a.Disabled && slices.Contains(a.Roles, RoleAdmin) }

// NormalizeEmail returns the one spelling under which an address is stored and looked up.
func NormalizeEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// checkNewPassword refuses a new password that is too short, too long or too easy to guess.
// The field is the request's name for it.
func checkNewPassword(field, password, email string) error {
	length := utf8.RuneCountInString(password)
	folded := strings.ToLower(strings.TrimSpace(password))
	switch {
	case length < passwordMin:
		return fault.Invalid(field, "must have at least %d characters", passwordMin)
	case length > passwordMax:
		return fault.Invalid(field, "must have at most %d characters", passwordMax)
	case email != "" && folded == email:
		return fault.Invalid(field, "must not be the email address")
	case commonPasswords[folded] || oneCharacter(folded):
		return fault.Invalid(field, "is among the most common passwords")
	}
	return nil
}

// oneCharacter reports whether the text repeats one character, or none.
func oneCharacter(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return strings.Trim(text, string(first)) == ""
}

// commonPasswords are the guesses that every attacker makes first, of those long enough to be accepted otherwise.
var commonPasswords = setOf(`12345678 123456789 1234567890 0123456789 9876543210 987654321 87654321 123123123 12341234
 11223344 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2 q1w2e3r4 q1w2e3r4t5 qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234
 qwertz123 azertyuiop asdfghjk asdfghjkl zxcvbnm1 zaq12wsx password password1 password12 password123 passw0rd p@ssw0rd
 p@ssword pass1234 passwort passwort1 letmein1 welcome1 welcome123 iloveyou iloveyou1 sunshine princess princess1
 football football1 baseball baseball1 basketball superman batman123 starwars trustno1 whatever computer internet
 samsung1 michelle jennifer jessica1 charlie1 dragon123 monkey123 shadow12 master123 killer123 abcd1234 abc12345
 abcdefgh a1b2c3d4 admin123 admin1234 administrator changeme changeme1 default1 secret123 testtest test1234 liverpool
 chocolate butterfly corvette midnight mountain steelers greenday platinum hello123 hallo123 freedom1 google123
 motdepasse contraseña commerce`)

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
