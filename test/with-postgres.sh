#!/usr/bin/env bash
# Starts a temporary PostgreSQL server, runs a command with its URL in FAIRLEAD_TEST_POSTGRES,
# and stops the server. Usage: with-postgres.sh COMMAND…
set -euo pipefail

bin=""
for candidate in /usr/lib/postgresql/*/bin; do
  if [ -x "$candidate/initdb" ]; then bin=$candidate; fi
done
if [ -z "$bin" ] && command -v initdb >/dev/null; then bin=$(dirname "$(command -v initdb)"); fi
if [ -z "$bin" ]; then
  echo "PostgreSQL is not installed. Run: apt-get install postgresql" >&2
  exit 1
fi

# The path is short because a socket path may have about 100 characters.
dir=$(mktemp -d /tmp/flpg.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  chown postgres "$dir"
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups env "HOME=$dir")
fi
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate -s stop || true
  rm -rf "$dir"
}
trap stop EXIT

password=$(head -c 18 /dev/urandom | base64 | tr -d '/+=')
printf '%s' "$password" >"$dir/pw"
chmod 0644 "$dir/pw"
"${as[@]}" "$bin/initdb" -D "$dir/data" -U fairlead --pwfile="$dir/pw" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
  --no-sync --no-instructions >/dev/null

# The start fails if another process uses the port. Then try another one.
for attempt in 1 2 3 4 5; do
  port=$(( (RANDOM % 20000) + 20000 ))
  if "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -s start -o "-c listen_addresses=127.0.0.1 -p $port -k $dir \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=64MB -c max_connections=300"; then break; fi
  if [ "$attempt" = 5 ]; then cat "$dir/log" >&2; exit 1; fi
done

status=0
FAIRLEAD_TEST_POSTGRES_PID=$(head -1 "$dir/data/postmaster.pid")
export FAIRLEAD_TEST_POSTGRES_PID
FAIRLEAD_TEST_POSTGRES="postgres://fairlead:$password@127.0.0.1:$port/postgres?sslmode=disable" "$@" || status=$?
exit $status
