# shellcheck shell=sh
# Processes: who lives, starting, stopping. Read by ./taskforge.

# The kernel's start time of a process; with the pid it names one process for ever. A zombie has none.
began() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086  # fields; the name, which may hold anything, is cut off
  set -- ${stat##*) }
  [ "$1" != Z ] && printf '%s\n' "${20}"
}

# True when the process that was started as this part lives. Sets pid, since, and the sums it was started with.
alive() {
  pid='' since='' had_binary='' had_settings=''
  [ -r "$home/run/$1.started" ] || return 1
  read -r pid since had_binary had_settings <"$home/run/$1.started" || return 1
  case $pid in *[!0-9]* | '') pid='' && return 1 ;; esac
  [ "$since" = "$(began "$pid")" ]
}

# To the process that alive found; as its user, so that a wrong pid can hit nobody else.
# shellcheck disable=SC2016  # for the other shell
signal() { as_user sh -c 'kill -"$1" "$2"' sh "$1" "$pid" 2>/dev/null || :; }

# What a part that was killed left behind, nginx's workers above all: they outlive their master and keep its port.
# Each part is a session of its own; while that has members, the kernel gives its number to no other process.
sweep() { # part
  ! alive "$1" && [ -n "$pid" ] && ! began "$pid" >/dev/null || return 0
  session=$pid
  tries=50
  # a process that was killed holds its port until the kernel has taken it apart
  while members=$(members "$session") && [ -n "$members" ] && [ $tries -gt 0 ]; do
    for pid in $members; do
      signal KILL
    done
    sleep 0.1
    tries=$((tries - 1))
  done
}

members() { # session: its processes that live
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$1" '{ pid = $1; sub(/^.*\) /, "") } $4 == session && $1 != "Z" { print pid }'
}

failed() { # part what
  say "$1 $2. The end of $home/log/$1.log:" >&2
  tail -n 20 "$home/log/$1.log" >&2 || :
  exit 1
}

record() { # part pid binary settings
  began "$2" >/dev/null || failed "$1" 'ended at once'
  as_user sh -c 'printf "%s\n" "$2" >"$1"' sh "$home/run/$1.started" "$2 $(began "$2") $3 $4"
}

sum() { cat "$@" | cksum | tr ' ' -; }

# Starts a part; when it runs already, only what changed since: another binary restarts it, other settings reload it.
start() { # part binary-sum settings-sum command...
  part=$1 binary=$2 settings=$3
  shift 3
  if alive "$part"; then
    if [ "$had_binary $had_settings" = "$binary $settings" ]; then
      say "  $part runs"
      return 0
    elif [ "$had_binary" = "$binary" ]; then
      say "  $part reloads its settings"
      signal HUP
      record "$part" "$pid" "$binary" "$settings"
      return 0
    fi
    stop "$part"
  fi
  sweep "$part"
  say "  $part starts"
  # shellcheck disable=SC2016  # for the other shell; it opens the log, so that it is the user's
  exec_as_user setsid sh -c 'log=$1; shift; exec "$@" >>"$log" 2>&1 </dev/null' sh "$home/log/$part.log" "$@" \
    9>&- </dev/null >/dev/null 2>&1 &
  record "$part" $! "$binary" "$settings"
}

wait_for() { # part seconds check...
  part=$1 seconds=$2 left=$(($2 * 10))
  shift 2
  until "$@" >/dev/null 2>&1; do
    alive "$part" || failed "$part" 'ended'
    left=$((left - 1))
    [ $left -gt 0 ] || failed "$part" "is not ready after $seconds seconds"
    sleep 0.1
  done
}

gone_within() { # part seconds
  left=$(($2 * 10))
  while alive "$1"; do
    left=$((left - 1))
    [ $left -gt 0 ] || return 1
    sleep 0.1
  done
}

# Asks politely, then plainly. PostgreSQL is never killed: the rest may be, they lose nothing.
stop() {
  sweep "$1"
  alive "$1" || { rm -f "$home/run/$1.started"; return 0; }
  case $1 in
    nginx | nchan) first=QUIT patience=15 then=TERM ;; # QUIT: requests end first
    worker) first=TERM patience=50 then=KILL ;;        # it gives running jobs 30 seconds
    postgres) first=INT patience=60 then=QUIT ;;       # fast; then: immediate, recovered at the next start
    *) first=TERM patience=20 then=KILL ;;
  esac
  signal $first
  if ! gone_within "$1" $patience; then
    say "  $1 does not stop on SIG$first after $patience seconds: SIG$then"
    signal $then
    gone_within "$1" 15 || die "$1 (pid $pid) does not stop"
  fi
  rm -f "$home/run/$1.started"
  say "  $1 stopped"
}
