# The database server, and the tables of all services. To be sourced.

start_database() {
  if [ ! -e "$lab/database/made" ]; then
    rm -rf "$lab/database"
    run database mariadb-install-db --no-defaults --user=root --datadir="$lab/database" --skip-test-db
    touch "$lab/database/made"
  fi
  # What it holds is not worth a wait for the disk. The path of a socket has at most 107 characters, so it is relative.
  start database mariadbd --no-defaults --user=root --datadir="$lab/database" --init-file="$lab/etc/database.sql" \
    --socket=socket --port=23306 --bind-address="$address" --skip-name-resolve --max-connections=1000 \
    --character-set-server=utf8mb3 --performance-schema=off --innodb-log-file-size=32M \
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-flush-method=nosync
  MYSQL_PWD="$password" wait_for 'the database' \
    mariadb --no-defaults --host="$address" --port=23306 --user=lab --execute='SELECT 1'
}

# Beside each other, because most of the time goes into Python.
make_databases() {
  [ ! -e "$lab/database/synchronised" ] || return 0
  local service pids=() pid
  for service in keystone glance placement neutron cinder nova; do
    "synchronise_$service" &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  touch "$lab/database/synchronised"
}

manage() {
  local service=$1
  shift
  run "$service-manage" "$service-manage" --config-file "$lab/etc/services.conf" --config-file "$lab/etc/$service.conf" "$@"
}

synchronise_keystone() {
  mkdir -p "$lab"/keystone/{fernet,credential}
  manage keystone db_sync
  manage keystone fernet_setup --keystone-user root --keystone-group root
  manage keystone credential_setup --keystone-user root --keystone-group root
  # Everybody can read arguments, so the password is none.
  run keystone-manage sh -c 'OS_BOOTSTRAP_PASSWORD=$(cat "$1"); export OS_BOOTSTRAP_PASSWORD; shift; exec "$@"' sh "$lab/password" \
    keystone-manage --config-file "$lab/etc/keystone.conf" bootstrap --bootstrap-region-id RegionOne \
    --bootstrap-public-url "http://$address:15000/v3" --bootstrap-internal-url "http://$address:15000/v3"
}

synchronise_glance() { manage glance db_sync; }
synchronise_placement() { manage placement db sync; }
synchronise_cinder() { manage cinder db sync; }
synchronise_neutron() {
  run neutron-manage neutron-db-manage --config-file "$lab/etc/services.conf" --config-file "$lab/etc/neutron.conf" \
    upgrade heads
}

synchronise_nova() {
  manage nova api_db sync
  manage nova cell_v2 map_cell0
  # There is one after a start that did not come to its end.
  manage nova cell_v2 list_cells
  grep -q cell1 "$lab/log/nova-manage.log" || manage nova cell_v2 create_cell --name cell1
  manage nova db sync
}
