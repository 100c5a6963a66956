#!/bin/bash
# Stops the daemons of both clouds that up.sh started and removes their state; packages stay. May be run again.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/clouds.sh"

take_down() {
  [ -e "$lab" ] || return 0
  # They need not say goodbye: nothing of what they know is kept.
  local file name mount
  for file in "$lab"/run/*.pid; do
    [ -e "$file" ] || continue
    name=$(basename "$file" .pid)
    is_running "$name" || continue
    kill -KILL -- "-$(pid_of "$name")"
    echo "stopped $name"
  done
  for mount in "$lab"/shares/* "$lab/volumes"; do
    # Who was killed may hold its files for a moment.
    for _ in {1..100}; do
      mountpoint -q "$mount" || break
      umount "$mount" 2>/dev/null || sleep 0.1
    done
    if mountpoint -q "$mount"; then
      echo "$mount is still in use" >&2
      exit 1
    fi
  done
  rm -rf --one-file-system "$lab"
  echo "removed $lab"
}

for cloud in other first; do
  choose_cloud "$cloud"
  . "$here/daemons.sh"
  take_down
done
