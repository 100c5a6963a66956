#!/bin/bash
# Stops the PostgreSQL that up.sh started and removes its state; packages stay. May be run again.
set -euo pipefail
lab="$(cd "$(dirname "$0")/../../.." && pwd)/.lab/postgres"
data="$lab/data"

# The file may be older than the process that has its number now.
is_ours() { grep -qzsxF -- "$data" "/proc/$1/cmdline"; }
# A process that ends loses its arguments before its files.
is_alive() { grep -qsE '^State:\s*[^ZX]' "/proc/$1/status"; }

pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null || true)
if [ -n "$pid" ] && is_ours "$pid"; then
  # Ends sessions rather than wait for them.
  kill -INT "$pid"
  for _ in {1..100}; do
    is_alive "$pid" || break
    sleep 0.1
  done
  if is_alive "$pid"; then
    echo "the server did not stop in 10 s and was told to give up" >&2
    kill -QUIT "$pid"
  fi
  echo "stopped PostgreSQL"
fi
rm -rf --one-file-system "$lab"
echo "removed $lab"
