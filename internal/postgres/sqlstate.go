package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	stateUniqueViolation      = "23505"
	stateForeignKeyViolation  = "23503"
	stateCheckViolation       = "23514"
	stateSerializationFailure = "40001"
	stateDeadlock             = "40P01"
	// stateReadOnly refuses a write: the volume is nearly full, or the primary was demoted.
	stateReadOnly = "25006"
	stateDiskFull = "53100"
)

// IsUnique tells whether err is the violation of the named unique constraint or index; an empty name means any.
func IsUnique(err error, constraint string) bool {
	return violates(err, stateUniqueViolation, constraint)
}

// IsCheck tells whether err is the violation of the named check constraint; an empty name means any.
func IsCheck(err error, constraint string) bool {
	return violates(err, stateCheckViolation, constraint)
}

// IsForeignKey tells whether err is the violation of the named foreign key; an empty name means any.
func IsForeignKey(err error, constraint string) bool {
	return violates(err, stateForeignKeyViolation, constraint)
}

func violates(err error, state, constraint string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == state && (constraint == "" || pgErr.ConstraintName == constraint)
}

func retryable(err error) bool {
	state := sqlState(err)
	return state == stateSerializationFailure || state == stateDeadlock
}

// sqlState is the server's code for err, or "" when it did not come from the server.
func sqlState(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}
