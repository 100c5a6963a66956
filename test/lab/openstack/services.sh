# The daemons, in the order in which they need each other. To be sourced.

start_queue() {
  start names env ERL_EPMD_ADDRESS=127.0.0.1 epmd -port "${erlang_ports[0]}"
  start queue env ERL_EPMD_PORT="${erlang_ports[0]}" ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_NODENAME=lab@localhost RABBITMQ_DIST_PORT="${erlang_ports[1]}" \
    RABBITMQ_MNESIA_BASE="$lab/queue" RABBITMQ_LOG_BASE="$lab/log" RABBITMQ_PID_FILE="$lab/queue.pid" \
    RABBITMQ_CONFIG_FILE="$lab/etc/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$lab/etc/rabbitmq.plugins" \
    RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {${address//./,}} +S 2:2 +sbwt none" \
    /usr/lib/rabbitmq/lib/rabbitmq_server-3.*/sbin/rabbitmq-server
}

# Clients that keep connections see them reset where a worker ends, so none is kept.
start_wsgi() {
  local name=$1 port=$2 file=$3
  shift 3
  start "$name" env "$@" uwsgi_python3 --plugins python3 --http-socket "$address:$port" --wsgi-file "$file" --master \
    --processes 2 --threads 4 --lazy-apps --need-app --enable-threads --die-on-term --thunder-lock --buffer-size 65535 \
    --post-buffering 65536 --add-header 'Connection: close'
}

start_keystone() {
  start_wsgi keystone 15000 /usr/bin/keystone-wsgi-public OS_KEYSTONE_CONFIG_DIR="$lab/etc" \
    OS_KEYSTONE_CONFIG_FILES=keystone.conf
  wait_for keystone answers "http://$address:15000/v3"
}

as_administrator() {
  local script=$1
  shift
  run "$script" /usr/bin/python3 "$here/python/$script" "$address" "$lab/password" "$@"
}

# Some read a folder below /etc whatever they are told: such a daemon has a view of its own in which the lab's folder is there.
start_seeing() {
  local folder=$1 name=$2
  shift 2
  start "$name" unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$lab$folder" "$folder" "$@"
}

start_swift() {
  local kind port=18081
  mkdir -p "$lab/swift/disk" "$lab/swift-recon"
  for kind in account container object; do
    if [ ! -e "$lab/etc/swift/$kind.ring.gz" ]; then
      (
        cd "$lab/etc/swift"
        rm -f "$kind.builder"
        run rings swift-ring-builder "$kind.builder" create 6 1 0
        run rings swift-ring-builder "$kind.builder" add "r1z1-$address:$port/disk" 1
        # It warns, by its exit code 1, that one disk is not much.
        run rings swift-ring-builder "$kind.builder" rebalance || [ -e "$kind.ring.gz" ]
      )
    fi
    port=$((port + 1))
  done
  # Keeps what Keystone said of keys of the S3 interface, which would else ask it for each request.
  start cache memcached -u root -l "$address" -p 21211 -m 32
  for kind in account container object proxy; do
    start_seeing /etc/swift "swift-$kind" "swift-$kind-server" "/etc/swift/$kind-server.conf" -v
  done
}

start_service() {
  local name=$1 of=${1%%-*} how=(start)
  # It looks there for Cinder's key of Ceph.
  if [ "$name" = cinder-backup ] && [ -e "$lab/etc/ceph" ]; then how=(start_seeing /etc/ceph); fi
  "${how[@]}" "$name" "$name" --config-file "$lab/etc/services.conf" --config-file "$lab/etc/$of.conf"
}

start_services() {
  local name
  wait_for 'the queue' bash -c "exec 3<>/dev/tcp/$address/25671"
  start_wsgi placement 18778 /usr/bin/placement-api OS_PLACEMENT_CONFIG_DIR="$lab/etc"
  for name in glance-api neutron-server cinder-{api,scheduler,volume,backup} nova-{conductor,api,scheduler,compute}; do
    start_service "$name"
  done
  wait_for swift answers "http://$address:18080/healthcheck"
  wait_for placement answers "http://$address:18778/"
  wait_for glance answers "http://$address:19292/"
  wait_for neutron answers "http://$address:19696/"
  wait_for cinder answers "http://$address:18776/"
  wait_for nova answers "http://$address:18774/"
}
