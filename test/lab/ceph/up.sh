#!/bin/bash
# Starts a small Ceph on the loopback interface, with an S3 gateway and a pool of block devices, for tests of what uses
# either. Its state is in .lab/ceph. May be run again: what is installed, made or running already is left alone.
set -euo pipefail
started=$SECONDS
here="$(cd "$(dirname "$0")" && pwd)"
lab="$(cd "$here/../../.." && pwd)/.lab/ceph"
configuration="$lab/ceph.conf"
keyring="$lab/keyring"
settings="$lab/s3.json"
pool=fafnir-volumes
volumes="$lab/rbd.keyring"
monitor="[v2:127.0.0.1:13300]"
gateway=127.0.0.1:17480
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# The tools of Ceph are programs of the system's Python.
unset PYTHONPATH PYTHONHOME

if [ "$(id -u)" -ne 0 ]; then
  echo "lab:ceph needs root: it installs packages and runs daemons. Run it as root, or skip the tests that need it." >&2
  exit 1
fi

. "$here/../packages.sh"

# One monitor, one manager, one disk that is a sparse file, no copies. Admin sockets are off, because the path of a
# socket has at most 107 characters and a checkout may lie deeper.
write_configuration() {
  cat >"$configuration" <<END
[global]
fsid = $1
mon host = $monitor
public network = 127.0.0.0/8
ms bind port min = 13310
ms bind port max = 13399
keyring = $keyring
admin socket =
run dir = $lab/run
crash dir = $lab/log
log file = $lab/log/\$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
[mon]
mon data = $lab/mon
mon cluster log file = $lab/log/cluster.log
paxos propose interval = 0.05
paxos min wait = 0.02
[mgr]
mgr data = $lab/mgr
[osd]
osd data = $lab/osd
osd objectstore = bluestore
bluestore block size = 8589934592
bluestore cache autotune = false
bluestore cache size = 67108864
[client.rgw]
rgw data = $lab/rgw
rgw frontends = beast endpoint=$gateway tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 64
rgw override bucket index max shards = 1
END
}

# The first start of the monitor takes over all keys of the file, so that none has to be registered afterwards.
write_keyring() {
  ceph-authtool --create-keyring "$keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
  ceph-authtool "$keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  ceph-authtool "$keyring" --gen-key -n mgr.x --cap mon 'allow profile mgr' --cap osd 'allow *'
  ceph-authtool "$keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap mgr 'allow profile osd' --cap osd 'allow *'
  ceph-authtool "$keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw'
}

is_running() {
  local pid
  pid=$(cat "$lab/run/$1.pid" 2>/dev/null) && grep -qsF -- "$configuration" "/proc/$pid/cmdline"
}

# Daemons go to the background by themselves. They must not keep the pipe of whoever called this script.
start() {
  local name=$1 program=$2
  shift 2
  is_running "$name" || "$program" -c "$configuration" --pid-file "$lab/run/$name.pid" "$@" \
    </dev/null >>"$lab/log/$name.out" 2>&1
}

wait_for() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "gave up waiting for $what; its log is in $lab/log" >&2; exit 1; }
    sleep 0.1
  done
}

cluster() { ceph -c "$configuration" --connect-timeout 20 "$@"; }
disk_is_up() { cluster osd stat -f json | jq -e '.num_up_osds == 1'; }
users() { radosgw-admin -c "$configuration" "$@"; }

# Gives the user's keys as JSON, and makes the user where it is missing.
user() {
  { users user info --uid="$1" 2>/dev/null || users user create --uid="$1" --display-name="$1"; } |
    jq '.keys[0] | { accessKeyId: .access_key, secretAccessKey: .secret_key }'
}

# The same for who speaks Swift's protocol in place of S3: a user below another, whose containers are the other's buckets.
swift_user() {
  { users user info --uid="$1" | jq -e 'select(.swift_keys != [])' ||
    users subuser create --uid="$1" --subuser="$1:swift" --access=full; } |
    jq --arg gateway "http://$gateway" \
      '.swift_keys[0] | { authUrl: ($gateway + "/auth/v1.0"), user: .user, key: .secret_key }'
}

# Keys go to curl by a pipe, because everybody can read arguments. The header makes this curl sign as S3 wants it.
make_bucket() {
  jq -r '"user = \(.accessKeyId):\(.secretAccessKey)"' <<<"$2" |
    curl --config - --silent --show-error --fail --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 \
      --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --request PUT "http://$gateway/$1"
}

# The pool of block devices, and who may use it and nothing else. The key is also in a file that this user alone needs.
make_pool() {
  cluster osd pool create "$pool" 2>>"$lab/log/pool.out"
  rbd -c "$configuration" pool init "$pool"
  cluster auth get-or-create client.volumes mon 'profile rbd' osd "profile rbd pool=$pool" >"$volumes"
}

mkdir -p "$lab"/{run,log,rgw}
install_packages "$lab/install.log" \
  ceph-mon ceph-mgr ceph-osd ceph-common radosgw curl jq uuid-runtime qemu-utils qemu-block-extra
installed=$SECONDS
# Only now, because packages make files for everybody.
umask 077
chmod 700 "$lab"

if [ ! -e "$lab/mon/made" ]; then
  rm -rf "$lab/mon" "$lab/mgr" "$lab/osd" "$keyring"
  mkdir "$lab/mon" "$lab/mgr" "$lab/osd"
  id=$(uuidgen)
  write_configuration "$id"
  write_keyring
  monmaptool --create --clobber --fsid "$id" --addv a "$monitor" "$lab/monmap" >/dev/null
  ceph-mon -c "$configuration" -i a --mkfs --monmap "$lab/monmap" --keyring "$keyring" >"$lab/log/mkfs.out" 2>&1
  touch "$lab/mon/made"
fi
start mon ceph-mon -i a
wait_for 'the monitor' cluster mon stat
if [ ! -e "$lab/osd/made" ]; then
  id=$(uuidgen)
  cluster osd new "$id" >/dev/null
  ceph-osd -c "$configuration" -i 0 --mkfs --osd-uuid "$id" >>"$lab/log/mkfs.out" 2>&1
  touch "$lab/osd/made"
fi
start mgr ceph-mgr -i x
start osd ceph-osd -i 0
wait_for 'the disk' disk_is_up
start rgw radosgw -n client.rgw
wait_for 'the gateway' curl --silent --fail --noproxy '*' "http://$gateway/"

owner=$(user fafnir)
stranger=$(user stranger)
small=$(user small)
swift=$(swift_user fafnir)
users quota set --quota-scope=user --uid=small --max-size=1M
users quota enable --quota-scope=user --uid=small
make_bucket fafnir "$owner"
make_bucket small "$small"
make_pool
jq -n --arg endpoint "http://$gateway" --argjson owner "$owner" --argjson stranger "$stranger" --argjson small "$small" \
  --argjson swift "$swift" \
  --arg pool "$pool" --arg keyring "$volumes" --arg monitor "$monitor" --arg conf "$configuration" --arg admin "$keyring" \
  '{ $endpoint, region: "us-east-1", $owner, $stranger, $small, $swift,
     rbd: { $pool, user: "volumes", $keyring, monitors: [$monitor] }, admin: { $pool, $conf, keyring: $admin } }' \
  >"$settings"

echo "Ceph is up at http://$gateway, with pool $pool: installed in $((installed - started)) s, started in $((SECONDS - installed)) s"
echo "Tests find it by:"
echo "export FAFNIR_LAB_CEPH='$settings'"
