# The packages of the lab. To be sourced.

packages=(
  keystone swift-proxy swift-account swift-container swift-object cinder-api cinder-scheduler cinder-volume cinder-backup
  glance-api neutron-server placement-api nova-api nova-conductor nova-scheduler nova-compute
  mariadb-server rabbitmq-server uwsgi-core uwsgi-plugin-python3 python3-pymysql python3-keystoneauth1
  qemu-utils xfsprogs nfs-common curl jq
)

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  echo "installing ${missing[*]}"
  # Only the lab starts daemons: this file keeps packages from starting theirs.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # Without questions, packages leave the databases of the host alone.
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -qq
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" \
    >"$lab/log/install.log" 2>&1 || { tail -n 20 "$lab/log/install.log" >&2; exit 1; }
}
