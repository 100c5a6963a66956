#!/bin/bash
# Starts a small OpenStack on the loopback interface: Keystone, Swift, Cinder, Glance, Neutron, Placement, and Nova without
# real machines. Where the Ceph lab is up, Cinder has a pool there too. Its state is in .lab/openstack. With `other` it starts
# another such cloud beside that one. May be run again: what is installed, made or running already is left alone.
set -euo pipefail
started=$SECONDS
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/clouds.sh"
choose_cloud "${1:-first}"
ceph="$(dirname "$lab")/ceph"
settings="$lab/openstack.json"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

if [ "$(id -u)" -ne 0 ]; then
  echo "lab:openstack needs root: it installs packages, mounts a file system and runs daemons. Run it as root, or skip the tests that need it." >&2
  exit 1
fi

packages=(
  keystone swift-proxy swift-account swift-container swift-object cinder-api cinder-scheduler cinder-volume cinder-backup
  glance-api neutron-server placement-api nova-api nova-conductor nova-scheduler nova-compute
  mariadb-server rabbitmq-server memcached uwsgi-core uwsgi-plugin-python3 python3-pymysql python3-keystoneauth1
  qemu-utils xfsprogs nfs-common curl jq
)

. "$here/../packages.sh"
. "$here/daemons.sh"
. "$here/storage.sh"
. "$here/configuration.sh"
. "$here/databases.sh"
. "$here/services.sh"

mkdir -p "$lab"/{run,log,tmp,keystone,cinder,images,neutron,nova/instances}
install_packages "$lab/log/install.log" "${packages[@]}"
installed=$SECONDS
# Only now, because packages make files for everybody.
umask 077
chmod 700 "$lab"
[ -e "$lab/password" ] || cat /proc/sys/kernel/random/uuid >"$lab/password"
password=$(cat "$lab/password")

mount_volumes
make_ceph_pool
write_configuration
start_queue
start_database
make_databases
start_keystone
as_administrator accounts.py
start_swift
start_services
as_administrator resources.py "${backends[@]}"

jq -n --arg address "$address" --arg password "$password" --arg files "$lab/volumes/file" --argjson rbd "$rbd" '
  def account($name): { user: $name, $password, project: $name };
  { authUrl: "http://\($address):15000", region: "RegionOne", sparseRegion: "RegionTwo", externalNetwork: "public",
    sites: { a: account("site-a"), b: account("site-b") }, admin: account("admin"), $files } +
  (if $rbd == null then {} else { $rbd } end)' >"$settings"

echo "OpenStack is up at http://$address:15000: installed in $((installed - started)) s, started in $((SECONDS - installed)) s"
echo "Tests find it by:"
echo "export FAFNIR_LAB_OPENSTACK='$settings'"
