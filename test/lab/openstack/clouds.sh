# The clouds of the lab, which are alike and know nothing of each other. To be sourced, with `here` set.

# Where one keeps its state, and the address that it listens at, on the same ports as the other. Erlang has one address alone.
choose_cloud() {
  lab="$(cd "$here/../../.." && pwd)/.lab/openstack"
  case "$1" in
    first) address=127.0.0.1 erlang_ports=(24369 25673) ;;
    other) address=127.0.0.2 erlang_ports=(24370 25674) lab="$lab-other" ;;
    *)
      echo "usage: npm run lab:openstack [-- other]" >&2
      exit 2
      ;;
  esac
}
