package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	retryAfter = time.Second
	// fullRetryAfter is longer: a person makes room, or a standby takes over.
	fullRetryAfter = 15 * time.Second
)

// Fault turns an error of the database's condition into an Unavailable fault: a lost or refused connection, a
// timeout, no connections or memory left, a server that starts, stops or became read-only, and deadlocks that stayed
// after the retries. The cause stays in the chain. Everything else comes back as it is: violations of constraints are
// facts that only the caller can name (see [IsUnique], [IsCheck]), a fault is final already, and a caller that went
// away is nobody's failure.
func Fault(err error) error {
	if err == nil || fault.From(err) != nil || !unavailable(err) {
		return err
	}
	if slices.Contains(fullStates, sqlState(err)) {
		return fault.Unavailable("database", fullRetryAfter).
			WithMessage("nothing can be changed at the moment, please try again later; reading goes on").WithCause(err)
	}
	return fault.Unavailable("database", retryAfter).WithCause(err)
}

// Classes and codes of SQLSTATE that speak of the server and not of the statement.
var (
	unavailableClasses = []string{
		"08", // connection exceptions
		"53", // insufficient resources: connections, memory, disk
		"58", // system errors outside of PostgreSQL, such as I/O
	}
	unavailableStates = []string{
		stateReadOnly,
		"25P03", // idle-in-transaction timeout
		"25P04", // transaction timeout
		"55P03", // lock not available within lock_timeout
		"57014", // statement timeout (a cancelled caller is sorted out before)
		"57P01", // administrator shuts down
		"57P02", // crash shutdown
		"57P03", // starting up
		"57P05", // idle session timeout
		stateSerializationFailure,
		stateDeadlock,
	}
)

// fullStates are those of a server that answers and takes no writes.
var fullStates = []string{stateReadOnly, stateDiskFull}

func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return len(pgErr.Code) == 5 && slices.Contains(unavailableClasses, pgErr.Code[:2]) ||
			slices.Contains(unavailableStates, pgErr.Code)
	}
	for _, lost := range []error{
		context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, io.ErrUnexpectedEOF, io.EOF, net.ErrClosed,
		pgx.ErrTxClosed,
	} {
		if errors.Is(err, lost) {
			return true
		}
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	// pgx has no exported error for a connection that broke earlier.
	return pgconn.Timeout(err) || strings.HasSuffix(err.Error(), "conn closed") || strings.HasSuffix(err.Error(), "closed pool")
}
