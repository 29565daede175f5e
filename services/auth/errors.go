package auth

import "github.com/commercestack/commercestack/internal/fault"

// The failures of this component.
var (
	// ErrBadCredentials is a wrong address or a wrong password; it never says which.
	ErrBadCredentials = fault.New(fault.KindAuthFailed, "BAD_CREDENTIALS", "email address or password is wrong")
	// ErrEmailNotVerified is a right password before the verification mail was answered.
	ErrEmailNotVerified = fault.New(fault.KindAuthFailed, "EMAIL_NOT_VERIFIED", "the email address is not verified yet, follow the link in the mail")
	// ErrAccountDisabled is a right password of a banned account.
	ErrAccountDisabled = fault.New(fault.KindAuthFailed, "ACCOUNT_DISABLED", "the account is disabled")
	// ErrRefreshToken is a refresh token that is unknown, expired, revoked or replayed.
	ErrRefreshToken = fault.New(fault.KindAuthFailed, "REFRESH_TOKEN_INVALID", "the refresh token is not valid")
	// ErrNotLoggedIn is a call that needs a session and has none.
	ErrNotLoggedIn = fault.New(fault.KindAuthFailed, "", "log in first")
	// ErrMailedToken is a mailed token that is unknown, expired, used or superseded.
	ErrMailedToken = fault.New(fault.KindInvalidInput, "LINK_INVALID", "the link is not valid any more, ask for a new one").WithField("token", "")
	// ErrLastAdmin refuses to leave the shop without an administrator.
	ErrLastAdmin = fault.New(fault.KindConflict, "LAST_ADMIN", "the last administrator cannot lose the role, be disabled or be erased")
	// ErrAccountNotFound is an unknown account.
	ErrAccountNotFound = fault.NotFound("account", "")
	// ErrSessionNotFound is a session that is unknown, over or somebody else's.
	ErrSessionNotFound = fault.NotFound("session", "")
)
