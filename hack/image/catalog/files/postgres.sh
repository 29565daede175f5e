#!/usr/bin/env bash
# Starts PostgreSQL the way the official image does: makes the database folder on
# the first start from POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_INITDB_ARGS and POSTGRES_HOST_AUTH_METHOD (each also as NAME_FILE), runs
# /docker-entrypoint-initdb.d, and then becomes the server. Runs under any user and
# on a read-only root; what must be writable is $PGDATA and /var/run/postgresql.
set -euo pipefail

# variable NAME DEFAULT: sets NAME from itself, from the file NAME_FILE names, or
# from the default.
variable() {
  local name=$1 file=$1_FILE
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then
    echo "Set $name or $file, not both." >&2
    exit 1
  fi
  if [[ -n ${!file:-} ]]; then
    printf -v "$name" '%s' "$(<"${!file}")"
  elif [[ -z ${!name:-} ]]; then
    printf -v "$name" '%s' "$2"
  fi
  unset "$file"
}

# name_user: PostgreSQL insists on a name for its user. Kubernetes may choose an id
# that the image does not know.
name_user() {
  if [[ $(id -u) == 0 ]]; then
    echo "PostgreSQL does not run as root: set runAsUser (the image's own user is 999)." >&2
    exit 1
  fi
  if ! whoami >/dev/null 2>&1; then
    local dir=$PGDATA
    [[ -w /tmp ]] && dir=/tmp
    [[ $dir == "$PGDATA" ]] && dir=$(dirname "$PGDATA")
    NSS_WRAPPER_PASSWD=$(mktemp "$dir/passwd.XXXXXX")
    NSS_WRAPPER_GROUP=$(mktemp "$dir/group.XXXXXX")
    echo "postgres:x:$(id -u):$(id -g)::$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
    echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
    export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP LD_PRELOAD=libnss_wrapper.so
  fi
}

# client ARGS...: psql against the temporary server, which listens on no network.
client() {
  PGPASSWORD=$POSTGRES_PASSWORD psql --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --host "$socket" --no-password "$@"
}

run_scripts() {
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) if [[ -x $script ]]; then "$script"; else . "$script"; fi ;;
      *.sql) client --dbname "$POSTGRES_DB" -f "$script" ;;
      *.sql.gz) gunzip -c "$script" | client --dbname "$POSTGRES_DB" ;;
    esac
  done
}

initialize() {
  if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
    echo "The database is not initialized and has no superuser password: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE." >&2
    exit 1
  fi
  local arguments=()
  [[ -z $POSTGRES_INITDB_ARGS ]] || eval "arguments=($POSTGRES_INITDB_ARGS)"
  # The password travels through a pipe: not on a command line, nor into a file.
  [[ -z $POSTGRES_PASSWORD ]] || arguments+=(--pwfile=/dev/stdin)
  printf '%s\n' "$POSTGRES_PASSWORD" | initdb --username="$POSTGRES_USER" "${arguments[@]}"
  # Debian's server listens on loopback; the network is the container's own.
  printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

  socket=/var/run/postgresql
  [[ -w $socket ]] || socket=$PGDATA
  pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -c ssl=off -c unix_socket_directories='$socket'" start
  if [[ $POSTGRES_DB != postgres ]]; then
    client --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
  fi
  export PGUSER=$POSTGRES_USER PGDATABASE=$POSTGRES_DB PGHOST=$socket PGPASSWORD=$POSTGRES_PASSWORD
  run_scripts
  unset PGUSER PGDATABASE PGHOST PGPASSWORD
  pg_ctl -D "$PGDATA" -m fast -w stop
  echo "PostgreSQL is initialized."
}

# Arguments alone are the server's, as in `docker run postgres -c ssl=on`.
if [[ ${1:-} == -* ]]; then
  set -- postgres "$@"
fi
if [[ ${1:-} == postgres && " $* " != *" --help "* && " $* " != *" --version "* ]]; then
  variable POSTGRES_PASSWORD ''
  variable POSTGRES_USER postgres
  variable POSTGRES_DB "$POSTGRES_USER"
  variable POSTGRES_INITDB_ARGS ''
  variable POSTGRES_HOST_AUTH_METHOD ''
  mkdir -p "$PGDATA"
  # A volume comes with its group's rights; the server insists on its own only.
  chmod 0700 "$PGDATA" 2>/dev/null || true
  name_user
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    initialize
  fi
  # Without a writable folder for it the server would not start.
  if [[ ! -w /var/run/postgresql ]]; then
    set -- "$@" -c "unix_socket_directories=$PGDATA"
  fi
fi
exec "$@"
