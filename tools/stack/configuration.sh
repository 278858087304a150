# shellcheck shell=sh
# A stack's settings, and the files that are made of them. Read by ./taskforge.

settings() {
  owner_url=${TASKFORGE_MIGRATE_URL:-${DATABASE_URL:-"postgresql:///taskforge?host=$home/run&user=taskforge_owner"}}
  database_url=${DATABASE_URL:-"postgresql:///taskforge?host=$home/run&user=taskforge"}
  redis_url=${REDIS_URL:-"unix://$home/run/redis.sock"}
  registration=${TASKFORGE_REGISTRATION:-open}
  limit_requests=${RATE_LIMIT_REQUESTS:-120} limit_window=${RATE_LIMIT_WINDOW:-60}
  outgoing_allow=${TASKFORGE_OUTGOING_ALLOW:-} outgoing_deny=${TASKFORGE_OUTGOING_DENY:-}
  case "$outgoing_allow$outgoing_deny" in *[!A-Za-z0-9._:/,\ -]*)
    die 'TASKFORGE_OUTGOING_ALLOW and TASKFORGE_OUTGOING_DENY are networks and hosts with commas between them' 2 ;;
  esac
  case $registration in open | closed) ;; *) die 'TASKFORGE_REGISTRATION is open or closed' 2 ;; esac
  for number in "$limit_requests" "$limit_window"; do
    expr "$number" : '[0-9]\{1,7\}$' >/dev/null ||
      die 'RATE_LIMIT_REQUESTS and RATE_LIMIT_WINDOW are numbers up to 9999999' 2
  done
  [ "$limit_window" -gt 0 ] || die 'RATE_LIMIT_WINDOW is at least 1 second' 2
  sandbox_settings
  [ -z "${JWT_SECRET_KEY-}" ] || [ ${#JWT_SECRET_KEY} -ge 32 ] || die 'JWT_SECRET_KEY has fewer than 32 bytes' 2
  case "$database_url$redis_url" in *[\"\\\']*) die 'DATABASE_URL and REDIS_URL may not hold quotes or backslashes' 2 ;; esac
  known_names
  one_line_each
}

# Those of the stack itself, not of its daemons.
of_the_stack='PORT|HOME|BUILD|MIGRATE_URL|REGISTRATION|RECORD|(TEST|BENCH|STORM)_[A-Z_]*'

# A name that is misspelt would be a setting that is not heeded.
known_names() {
  for variable in $(env | sed -n 's/^\(TASKFORGE_[A-Za-z0-9_]*\)=.*/\1/p'); do
    listed=$variable
    case $listed in *_URL_FILE | *_KEY_FILE | *_PASSWORD_FILE) listed=${listed%_FILE} ;; esac
    echo "$listed" | grep -qE "^TASKFORGE_(PAYMENT_SANDBOX|$of_the_stack)$" ||
      grep -qE "^#?$listed=" "$root/conf/taskforge.env.example" ||
      die "$variable is no setting of TaskForge: conf/taskforge.env.example lists them" 2
  done
}

# They become lines of files.
one_line_each() {
  for variable in DATABASE_URL REDIS_URL ADMIN_PASSWORD JWT_SECRET_KEY $(env | sed -n 's/^\(TASKFORGE_[A-Za-z0-9_]*\)=.*/\1/p'); do
    eval "value=\${$variable-}"
    case $value in *"
"*) die "$variable has more than one line" 2 ;; esac
  done
}

# The gateway for demonstrations is a part of the stack only if it is asked for.
sandbox_settings() {
  case ${TASKFORGE_PAYMENT_SANDBOX:-off} in
    on)
      [ -z "${TASKFORGE_PAYMENT_URL-}" ] || die 'TASKFORGE_PAYMENT_URL or TASKFORGE_PAYMENT_SANDBOX=on: not both' 2
      sandbox_port=$((port + 1))
      ;;
    off) sandbox_port='' ;;
    *) die 'TASKFORGE_PAYMENT_SANDBOX is on or off' 2 ;;
  esac
}

sandbox_is_part() { grep -qs '^TASKFORGE_PAYMENT_SANDBOX=on$' "$home/conf/taskforge.env"; }

check_port() {
  { expr "$port" : '[0-9]\{1,5\}$' >/dev/null && [ "$port" -ge 1024 ] && [ "$port" -le 65535 ]; } ||
    die "TASKFORGE_PORT: \"$port\" is not a number from 1024 to 65535" 2
  sweep nginx
  ! alive nginx || ! grep -q "listen .*:$port " "$home/conf/nginx.conf" || return 0
  # 0A: somebody listens
  ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$port") [0-9A-F:]* 0A " ||
    die "port $port is taken by another program: set TASKFORGE_PORT"
}

memory_mb() { # of the machine, or of the container if that is less
  kb=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  case $limit in *[!0-9]* | '') ;; *) [ $((limit / 1024)) -ge "$kb" ] || kb=$((limit / 1024)) ;; esac
  echo $((kb / 1024))
}

place() { # file destination mode: only what differs is written, and always as a new file, never into a running one
  # shellcheck disable=SC2086
  cmp -s "$1" "$2" || install -m "$3" ${4-} "$1" "$2"
}

# What exec_as_user gets for its children.
open_files() { (ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"; ulimit -n); }

# nginx takes fewer files and connections where the system gives fewer, rather than complain at every start.
fewer_files() {
  for number in 65536 32768 16384; do
    [ "$files" -ge $number ] || printf 's/^\( *worker_\(rlimit_nofile\|connections\)  *\)%s;/\\1%s;/\n' $number "$files"
  done
}

configure() { # template name
  literal() { printf %s "$1" | sed 's/[&|\\]/\\&/g'; }
  # by standard input: the URLs may hold passwords, and arguments are for everybody to see
  sed -f /dev/stdin "$root/conf/$1" >"$home/.new" <<END
s|@HOME@|$home|g
s|@PORT@|$port|g
s|@MODULES@|/usr/lib/nginx/modules|g
s|@USER@|$(id -un "$([ -z "$own" ] && id -u || echo taskforge)")|g
s|@DATABASE_URL@|$(literal "$database_url")|g
s|@REDIS_URL@|$(literal "$redis_url")|g
s|@REGISTRATION@|$registration|g
s|@OUTGOING_ALLOW@|$outgoing_allow|g
s|@OUTGOING_DENY@|$outgoing_deny|g
s|@RATE_LIMIT_REQUESTS@|$limit_requests|g
s|@RATE_LIMIT_WINDOW@|$limit_window|g
s|@SHARED_BUFFERS@|${buffers}MB|g
s|@CACHE_SIZE@|$((memory / 2))MB|g
s|@REDIS_MEMORY@|$((memory / 4))mb|g
$(fewer_files)
END
  if [ "$2" = taskforge.env ] && [ -n "$sandbox_port" ]; then
    printf '%s\n' "TASKFORGE_PAYMENT_URL=http://127.0.0.1:$sandbox_port/v1/charges" \
      "TASKFORGE_PAYMENT_KEY_FILE=$home/conf/payment-sandbox.key" >>"$home/.new"
  fi
  [ "$2" != taskforge.env ] || env | grep -E '^TASKFORGE_[A-Z_]+=' |
    grep -vE "^TASKFORGE_($of_the_stack|REDIS_LIBRARY|DATA_DIR)=" | sort >>"$home/.new" || :
  place "$home/.new" "$home/conf/$2" 0600 "$own"
  rm -f "$home/.new"
}

install_stack() {
  memory=$(memory_mb) files=$(open_files)
  buffers=$((memory / 4 < 512 ? memory / 4 : 512))
  for file in ngx_http_taskforge_module.so taskforge-worker taskforge-render.so taskforge-images.so taskforge-scheduler taskforge-passwd taskforge-slice; do
    place "$build/$file" "$home/bin/$file" 0755
  done
  place "$root/core/taskforge.lua" "$home/share/taskforge.lua" 0644
  place "$root/worker/plugin.h" "$home/include/taskforge/plugin.h" 0644
  place "$root/core/retry_policy.h" "$home/include/taskforge/retry_policy.h" 0644
  install_tree sql "$root/sql"
  if [ -e "$build/html/index.html" ]; then install_tree html "$build/html"; else install_tree html "$root/html/missing"; fi
  for file in nginx.conf nchan.conf postgresql.conf pg_hba.conf pg_ident.conf redis.conf; do
    configure $file $file
  done
  place "$root/tools/taskforge-payment-sandbox" "$home/bin/taskforge-payment-sandbox" 0755
  configure taskforge.env.example taskforge.env
  (umask 077 && jwt_key && sandbox_key) || exit $?
}

random_text() { # 32 random bytes in base64url
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

# The key that signs access tokens: made once, or the caller's. Only its user reads it; it is never an argument.
jwt_key() {
  if [ -n "${JWT_SECRET_KEY-}" ]; then
    printf '%s\n' "$JWT_SECRET_KEY" >"$home/.key"
  elif [ -s "$home/conf/jwt.key" ]; then
    return 0
  else
    random_text >"$home/.key"
  fi
  place "$home/.key" "$home/conf/jwt.key" 0600 "$own"
  rm -f "$home/.key"
}

sandbox_key() {
  [ -n "$sandbox_port" ] && [ ! -s "$home/conf/payment-sandbox.key" ] || return 0
  random_text >"$home/.key"
  place "$home/.key" "$home/conf/payment-sandbox.key" 0600 "$own"
  rm -f "$home/.key"
}

install_tree() { # name source: the installed one is that of the source, no more and no less
  rm -rf "$home/share/$1.new"
  cp -R "$2" "$home/share/$1.new"
  chmod -R a+rX "$home/share/$1.new"
  rm -rf "${home:?}/share/$1"
  mv "$home/share/$1.new" "$home/share/$1"
}
