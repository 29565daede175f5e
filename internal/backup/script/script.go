// Package script holds what runs in PostgreSQL's own image between the steps of
// commerce backup. The operator puts it into pods; it depends on nothing.
//
// Both scripts find the database in the work folder, so no password is on a
// command line. What PostgreSQL's programs say stays in the container's log: it
// may quote rows, so the reason that the pod tells has only the exit code.
package script

// Work is the variable with the folder that the containers of a pod share.
const Work = "COMMERCE_BACKUP_WORK"

const head = `set -u
cd "$COMMERCE_BACKUP_WORK"
export PGSERVICEFILE="$COMMERCE_BACKUP_WORK/pg_service.conf" PGSERVICE=commerce PGAPPNAME=commerce-backup
run() {
  "$@" && return
  code=$?
  echo "$1 failed with exit code $code; its log says why" > "${COMMERCE_TERMINATION_LOG:-/dev/termination-log}"
  exit $code
}
`

// Dump writes one consistent snapshot of the shop's schemas to the file dump. It
// gives up on a table lock after half a minute, which a migration would hold.
const Dump = head + `rm -f dump dump.new
run pg_dump --format=custom --no-password --lock-wait-timeout=30s --file=dump.new $(cat schemas)
mv dump.new dump
`

// Restore brings the file dump into the database, all of it or nothing, unless
// that was done before.
const Restore = head + `[ -f restored ] && exit 0
run pg_restore --exit-on-error --single-transaction --no-password --dbname=service=commerce dump
`
