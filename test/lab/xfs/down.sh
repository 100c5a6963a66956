#!/bin/sh
# Unmounts and removes what up.sh made. May be run again.
set -eu
lab="$(cd "$(dirname "$0")/../../.." && pwd)/.lab/xfs"

if mountpoint -q "$lab/mount"; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "lab:xfs needs root: it unmounts a file system." >&2
    exit 1
  fi
  umount "$lab/mount"
  echo "unmounted $lab/mount"
fi
rm -rf --one-file-system "$lab"
echo "removed $lab"
