# shellcheck shell=sh
# The user that everything runs as, and the directory where it lives. Read by ./taskforge.

# As root: the user that everything runs as. PostgreSQL refuses root, and nothing else needs it.
make_user() {
  is_root || return 0
  id -u taskforge >/dev/null 2>&1 && return 0
  useradd --system --user-group --home-dir /var/lib/taskforge --no-create-home --shell /usr/sbin/nologin taskforge
  say 'made the system user taskforge: everything will run as that user'
}

# Not by env -i: whatever stands in arguments is in the list of processes, for everybody to see.
exec_as_user() {
  cd /
  ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
  is_root && set -- setpriv --reuid=taskforge --regid=taskforge --clear-groups "$@"
  export LANG=C.UTF-8 HOME="$home"
  for variable in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
    case $variable in PATH | LANG | HOME | TERM | DATABASE_URL | REDIS_URL) ;; *) unset -v "$variable" ;; esac
  done
  exec "$@"
}

as_user() { (exec_as_user "$@"); }

# Sets home to the real directory. It must be reachable for the user, short enough for the paths of Unix sockets
# (107 bytes), and of plain characters, as it is written into four kinds of configuration file. Where it is not (a
# checkout in /root) and we are root, the real one is in /var/lib/taskforge and $TASKFORGE_HOME a link to it.
find_home() {
  home=${TASKFORGE_HOME:-$root/var}
  case $home in /*) ;; *) home=$PWD/$home ;; esac
  wanted=$home
  home=$(readlink -m "$home")
  trouble=
  case $home in
    *[!A-Za-z0-9_./+-]*) trouble='has characters other than letters, digits and . _ / + -' ;;
    *) if [ ${#home} -gt 86 ]; then trouble='is longer than 86 bytes, too long for Unix sockets'; fi ;;
  esac
  if is_root && [ -z "$trouble" ] && id -u taskforge >/dev/null 2>&1; then
    near=$home
    until [ -d "$near" ]; do near=$(dirname "$near"); done
    home=/ as_user test -x "$near" || trouble='is out of reach for the user taskforge'
  fi
  [ -n "$trouble" ] || return 0
  is_root || die "TASKFORGE_HOME $wanted $trouble. Choose another one"
  home=/var/lib/taskforge/$(basename "$(dirname "$wanted")" | tr -c 'A-Za-z0-9_\n' - | cut -c 1-30)-$(
    printf %s "$wanted" | cksum | cut -d ' ' -f 1)
}

make_home() {
  if is_root; then own='-o taskforge -g taskforge'; else own=; fi
  if [ "$(readlink -m "$wanted")" != "$home" ]; then
    [ ! -d "$wanted" ] || rmdir "$wanted" 2>/dev/null || die "$wanted $trouble, and it is not empty"
    mkdir -p "$(dirname "$wanted")" "$home"
    ln -sfn "$home" "$wanted"
    say "$wanted $trouble: the stack lives in $home, and that is a link to it"
  fi
  if [ -d "$home" ] && [ ! -e "$home/.taskforge" ] && [ -n "$(ls -A "$home")" ]; then
    die "$wanted holds something else already. Choose another TASKFORGE_HOME"
  fi
  mkdir -p "$home"
  : >"$home/.taskforge"
  install -d -m 0755 "$home/bin" "$home/share" "$home/share/sql" "$home/share/html" "$home/include/taskforge" \
    "$home/handlers" "$home/plugins"
  # shellcheck disable=SC2086  # options, or none
  install -d -m 0750 $own "$home/conf" "$home/run" "$home/log" "$home/redis" "$home/data" \
    "$home/templates" "$home/payments"
  # shellcheck disable=SC2086
  install -d -m 0700 $own "$home/connections"
}

# For the commands that need a stack that was up once.
need_home() {
  find_home
  [ -e "$home/.taskforge" ] || die "no stack in $wanted: ./taskforge up makes one"
}

# One command at a time may change a home.
lock_home() {
  exec 9>>"$home/.taskforge"
  flock -n 9 || die "another ./taskforge is at work in $home"
}
