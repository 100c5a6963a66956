#!/bin/bash
# Starts a PostgreSQL on the loopback interface, as a user without rights, for tests of what uses one. Its state is in
# .lab/postgres. May be run again: what is installed, made or running already is left alone.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
lab="$(cd "$here/../../.." && pwd)/.lab/postgres"
data="$lab/data"
settings="$lab/postgres.json"
user=postgres
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

. "$here/../packages.sh"

mkdir -p "$lab"
if [ "$(id -u)" -eq 0 ]; then
  install_packages "$lab/install.log" postgresql
  # The server refuses to run as root.
  as_user() { (cd / && exec setpriv --reuid "$user" --regid "$user" --init-groups "$@"); }
  mkdir -p "$data"
  chown "$user:$user" "$data"
  as_user test -x "$data" || {
    echo "the user $user cannot reach $data: let others pass through the directories above it (chmod o+x)" >&2
    exit 1
  }
else
  as_user() { "$@"; }
fi
programs=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$programs" ] || { echo "PostgreSQL is not installed; run lab:postgres as root, or install it." >&2; exit 1; }

is_running() { as_user "$programs/pg_ctl" -D "$data" status >/dev/null 2>&1; }
is_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Not the usual port: a host may have a PostgreSQL of its own, and other checkouts have labs of theirs.
free_port() {
  local port=17432
  while is_taken "$port"; do port=$((port + 1)); done
  echo "$port"
}

umask 077
if [ ! -e "$lab/made" ]; then
  [ "$(id -u)" -ne 0 ] || chmod 711 "$lab"
  find "$data" -mindepth 1 -delete 2>/dev/null || true
  od -An -tx1 -N16 /dev/urandom | tr -d ' \n' >"$lab/password"
  [ "$(id -u)" -ne 0 ] || chown "$user" "$lab/password"
  as_user "$programs/initdb" -D "$data" --username=fafnir --auth=scram-sha-256 --pwfile="$lab/password" \
    --encoding=UTF8 --locale=C.UTF-8 >"$lab/initdb.log" 2>&1 ||
    { tail -n 20 "$lab/initdb.log" >&2; exit 1; }
  touch "$lab/made"
fi
if ! is_running; then
  port=$(free_port)
  # It must not keep the pipe of whoever called this script.
  as_user "$programs/pg_ctl" -D "$data" -l "$data/server.log" -w -s start \
    -o "-h 127.0.0.1 -p $port -c unix_socket_directories= -c max_connections=200" </dev/null >/dev/null 2>&1 ||
    { tail -n 20 "$data/server.log" >&2; exit 1; }
  printf '{ "url": "postgres://fafnir:%s@127.0.0.1:%s/postgres" }\n' "$(cat "$lab/password")" "$port" >"$settings"
fi

echo "PostgreSQL is up; its log is $data/server.log"
echo "Tests find it by:"
echo "export FAFNIR_LAB_POSTGRES='$settings'"
