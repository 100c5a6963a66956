#!/bin/bash
# Stops the daemons that up.sh started and removes their state; packages stay. May be run again.
set -euo pipefail
lab="$(cd "$(dirname "$0")/../../.." && pwd)/.lab/ceph"

# The file may be older than the process that has its number now.
is_ours() { grep -qsF -- "$lab/ceph.conf" "/proc/$1/cmdline"; }
# A process that ends loses its arguments before its ports.
is_alive() { grep -qsE '^State:\s*[^ZX]' "/proc/$1/status"; }

# The gateway first and the monitor last, so that each can still say goodbye to those it needs.
for name in rgw mgr osd mon; do
  pid=$(cat "$lab/run/$name.pid" 2>/dev/null) || continue
  is_ours "$pid" || continue
  kill "$pid"
  for _ in {1..100}; do
    is_alive "$pid" || break
    sleep 0.1
  done
  if is_alive "$pid"; then
    echo "$name did not stop in 10 s and was killed" >&2
    kill -KILL "$pid"
  fi
  echo "stopped $name"
done
rm -rf --one-file-system "$lab"
echo "removed $lab"
