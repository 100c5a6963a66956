#!/bin/sh
# Mounts a small XFS with reflink at .lab/xfs/mount, for tests that need clones. May be run again.
set -eu
lab="$(cd "$(dirname "$0")/../../.." && pwd)/.lab/xfs"
image="$lab/xfs.img"
mount="$lab/mount"
PATH="$PATH:/usr/sbin:/sbin"

if [ "$(id -u)" -ne 0 ]; then
  echo "lab:xfs needs root: it mounts a file system. Run it as root, or skip the tests that need it." >&2
  exit 1
fi
if mountpoint -q "$mount"; then
  echo "lab:xfs is up already at $mount"
  exit 0
fi

missing=""
command -v mkfs.xfs >/dev/null || missing="$missing xfsprogs"
command -v filefrag >/dev/null || missing="$missing e2fsprogs"
command -v qemu-img >/dev/null || missing="$missing qemu-utils"
if [ -n "$missing" ]; then
  echo "installing$missing"
  apt-get update -qq
  # Split into words on purpose: a list of packages.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

mkdir -p "$mount"
if [ ! -e "$image" ]; then
  # Made under another name first: an image that exists has a file system.
  rm -f "$image.new"
  truncate -s 4G "$image.new"
  mkfs.xfs -q -m reflink=1 "$image.new"
  mv "$image.new" "$image"
  echo "made $image: XFS with reflink, 4 GiB, sparse"
fi
mount -o loop "$image" "$mount"
chmod 1777 "$mount"
echo "mounted $image at $mount"
