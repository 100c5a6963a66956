# How daemons of the lab are started and found again. To be sourced, with `lab` set.

# Nothing of the caller's environment leads them elsewhere: proxies, another Python, credentials of another cloud.
environment=(
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME="$lab" TMPDIR="$lab/tmp"
  PYTHONPATH="$here/python" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
)

pid_of() { cut -d' ' -f1 "$lab/run/$1.pid"; }

# When a process was started, in ticks since the start of the machine. Its name may have spaces.
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# A number may belong to another process by now. With the moment of its start it does not; some change their arguments.
is_running() {
  local pid start
  read -r pid start 2>/dev/null <"$lab/run/$1.pid" && [ "$(born "$pid")" = "$start" ]
}

# Each has a session of its own, whose number is its own.
start() {
  local name=$1
  shift
  is_running "$name" && return
  setsid "${environment[@]}" "$@" </dev/null >>"$lab/log/$name.log" 2>&1 &
  echo "$! $(born "$!")" >"$lab/run/$name.pid"
}

# Runs a program that ends, and keeps what it says in a log.
run() {
  local name=$1
  shift
  "${environment[@]}" "$@" </dev/null >>"$lab/log/$name.log" 2>&1 || {
    tail -n 20 "$lab/log/$name.log" >&2
    echo "$1 failed; its log is $lab/log/$name.log" >&2
    return 1
  }
}

wait_for() {
  local what=$1 end=$((SECONDS + 300))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "gave up waiting for $what; its log is in $lab/log" >&2; exit 1; }
    sleep 0.2
  done
}

answers() { curl --silent --fail --noproxy '*' --max-time 5 --output /dev/null "$1"; }
