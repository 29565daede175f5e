package user

import "github.com/commercestack/commercestack/internal/fault"

// The failures of this component.
var (
	// ErrUserNotFound is an unknown or erased user.
	ErrUserNotFound = fault.NotFound("user", "")
	// ErrAddressNotFound is an address that is unknown or somebody else's.
	ErrAddressNotFound = fault.NotFound("address", "")
	// ErrAddressBookFull refuses more addresses than a person can choose from.
	ErrAddressBookFull = fault.New(fault.KindConflict, "ADDRESS_BOOK_FULL", "the address book is full, delete an address first")
	// ErrOwnAccount keeps administrators from locking themselves out by mistake.
	ErrOwnAccount = fault.New(fault.KindConflict, "OWN_ACCOUNT", "administrators cannot disable their own account or give up their own role")
	// ErrStale is a change based on an outdated version of the profile.
	ErrStale = fault.Stale("the profile was changed meanwhile, read it again")
)
