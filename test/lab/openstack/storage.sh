# Where Cinder keeps volumes. To be sourced, with `lab` and `ceph` set.

# The backends of Cinder, and what tests need to use the pool in Ceph; `null` where there is none.
backends=(file nfs)
rbd=null

# XFS, because it can clone files. One folder is mounted once more where Cinder's NFS driver looks for its share: what
# is mounted there already it takes as it is, so that no NFS server is needed.
mount_volumes() {
  local image="$lab/volumes.xfs" share
  share="$lab/shares/$(printf %s 127.0.0.1:/lab | md5sum | cut -d' ' -f1)"
  mkdir -p "$lab/volumes" "$share"
  if [ ! -e "$image" ]; then
    # Made under another name first: an image that exists has a file system.
    rm -f "$image.new"
    truncate -s 200G "$image.new"
    mkfs.xfs -q -m reflink=1 "$image.new"
    mv "$image.new" "$image"
  fi
  mountpoint -q "$lab/volumes" || mount -o loop,discard "$image" "$lab/volumes"
  mkdir -p "$lab/volumes/file" "$lab/volumes/nfs"
  mountpoint -q "$share" || mount --bind "$lab/volumes/nfs" "$share"
}

cluster() { "${environment[@]}" timeout 20 ceph -c "$ceph/ceph.conf" "$@"; }

# A pool of its own, and a user who may use that one alone.
make_ceph_pool() {
  local monitor
  monitor=$(jq -er '.rbd.monitors[0]' "$ceph/s3.json" 2>/dev/null) || return 0
  cluster osd stat >/dev/null 2>&1 || return 0
  backends+=(rbd rbd-flattened)
  run ceph ceph -c "$ceph/ceph.conf" osd pool create fafnir-cinder
  run ceph rbd -c "$ceph/ceph.conf" pool init fafnir-cinder
  cluster auth get-or-create client.cinder \
    mon 'profile rbd' osd 'profile rbd pool=fafnir-cinder' >"$lab/ceph.keyring"
  install -D -m 600 "$lab/ceph.keyring" "$lab/etc/ceph/ceph.client.cinder.keyring"
  printf '[global]\nmon host = %s\nkeyring = %s\nadmin socket =\n' "$monitor" "$lab/ceph.keyring" >"$lab/ceph.conf"
  rbd=$(jq -n --arg keyring "$lab/ceph.keyring" --arg monitor "$monitor" \
    '{ pool: "fafnir-cinder", user: "cinder", $keyring, monitors: [$monitor] }')
}
