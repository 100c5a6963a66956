# Writes the files below etc/ to .lab/openstack/etc with the lab's own values. To be sourced.

write_configuration() {
  local file to
  while read -r file; do
    to="$lab/etc/$file"
    mkdir -p "$(dirname "$to")"
    # Many sections say who the services are; there is no way to say it once.
    sed -e "/^@service-user@\$/{r $here/etc/service-user.conf" -e 'd}' "$here/etc/$file" |
      sed -e "s|@lab@|$lab|g" -e "s|@address@|$address|g" -e "s|@password@|$password|g" -e "s|@backends@|$(IFS=,; echo "${backends[*]}")|g" >"$to"
  done < <(cd "$here/etc" && find . -type f)
  write_swift_servers
  cp /etc/swift/mime.types "$lab/etc/swift/" 2>/dev/null || true
}

# The three kinds of storage servers differ in name and port alone.
write_swift_servers() {
  local kind port=18081
  for kind in account container object; do
    sed -e "s|@kind@|$kind|g" -e "s|@port@|$port|g" "$lab/etc/swift-server.conf" >"$lab/etc/swift/$kind-server.conf"
    port=$((port + 1))
  done
}
