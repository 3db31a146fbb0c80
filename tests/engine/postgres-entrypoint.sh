#!/bin/sh
# What the official image's entry point does of that which we use, and no more: `postgres` as root goes on as the user
# postgres; an empty PGDATA is made, by any uid (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_HOST_AUTH_METHOD), and /docker-entrypoint-initdb.d/*.sql is run then. Any other command is run as it is.
set -eu

case "${1:-}" in -*) set -- postgres "$@" ;; esac
starts=no
if [ "${1:-}" = postgres ]; then
  starts=yes
  for argument; do
    case "$argument" in --help | '-?' | --version | -V | --describe-config) starts=no ;; esac
  done
fi

make_cluster() {
  user="${POSTGRES_USER:-postgres}"
  database="${POSTGRES_DB:-$user}"
  method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo "POSTGRES_PASSWORD is not set, nor POSTGRES_HOST_AUTH_METHOD=trust" >&2
    exit 1
  fi
  secret="$(mktemp)"
  printf '%s\n' "${POSTGRES_PASSWORD:-unused}" >"$secret"
  initdb --pgdata "$PGDATA" --username "$user" --pwfile "$secret" --auth-local trust --auth-host trust >/dev/null
  rm -f "$secret"
  echo "host all all all $method" >>"$PGDATA/pg_hba.conf"
  pg_ctl --pgdata "$PGDATA" --wait --silent -o "-c listen_addresses= -c unix_socket_directories=/tmp" start >/dev/null
  [ "$database" = postgres ] || createdb --host /tmp --username "$user" "$database"
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$file" ] || continue
    psql --host /tmp --username "$user" --dbname "$database" --quiet --no-psqlrc --set ON_ERROR_STOP=1 --file "$file"
  done
  pg_ctl --pgdata "$PGDATA" --wait --silent --mode fast stop
}

if [ "$starts" = yes ] && [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown postgres:postgres "$PGDATA"
  chmod 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ "$starts" = yes ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  # in a shell of its own: the server shall run without what initdb needs where the uid has no name
  (
    if ! getent passwd "$(id -u)" >/dev/null; then
      NSS_WRAPPER_PASSWD="$(mktemp)" NSS_WRAPPER_GROUP="$(mktemp)"
      echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
      echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
      LD_PRELOAD="$(echo /usr/lib/*/libnss_wrapper.so)"
      export LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
    make_cluster
  )
fi

exec "$@"
