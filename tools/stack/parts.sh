# shellcheck shell=sh
# The parts of a stack, and how each is started. Read by ./taskforge.

start_logkeeper() {
  # every log is opened for appending, so it can be cut while it is written to
  # shellcheck disable=SC2016  # perl's
  start logkeeper 1 1 perl -MFile::Copy -e '
    chdir shift or die;
    while (1) {
      for my $log (glob "*.log") { if (-s $log > 64 << 20) { copy($log, "$log.1") and truncate $log, 0 } }
      sleep 20;
    }' "$home/log"
}

pg_bin() { # the newest server, or the one that made the data
  version=$(cat "$home/pg/PG_VERSION" 2>/dev/null) ||
    version=$(ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -n 1)
  pg=/usr/lib/postgresql/$version/bin
  [ -x "$pg/postgres" ] || die "the data in $home/pg is of PostgreSQL ${version:-?}, which is not installed"
}

# After a power cut the number in its lock files may be another process of ours, and PostgreSQL would not start. A server that
# is there, or what is left of one, has the data for its working directory; what is left ends soon.
unlock_postgres() {
  tries=50
  while ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -q -- "-> $home/pg\$"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || return 0
    sleep 0.1
  done
  for lock in "$home/pg/postmaster.pid" "$home/run/.s.PGSQL.5432.lock"; do
    if locker=$(head -n 1 "$lock" 2>/dev/null) && [ -d "/proc/$locker" ]; then rm -f "$lock"; fi
  done
}

start_postgres() {
  pg_bin
  alive postgres || unlock_postgres
  if [ ! -e "$home/pg/PG_VERSION" ]; then
    say "  postgres: new database, PostgreSQL $version"
    # shellcheck disable=SC2086
    rm -rf "$home/pg.new" && install -d -m 0700 $own "$home/pg.new"
    as_user "$pg/initdb" -D "$home/pg.new" -U postgres --auth=peer --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
      >"$home/log/initdb.log" 2>&1 || failed initdb 'failed'
    mv "$home/pg.new" "$home/pg"
  fi
  start postgres "$version" "$(sum "$home"/conf/postgresql.conf "$home"/conf/pg_*.conf)" \
    "$home/bin/taskforge-slice" "$pg/postgres" -D "$home/pg" -c "config_file=$home/conf/postgresql.conf"
  wait_for postgres 60 as_user "$pg/pg_isready" -q -h "$home/run" -U postgres -d postgres
  as_user psql -X -q -v ON_ERROR_STOP=1 -h "$home/run" -U postgres -d postgres >/dev/null <<'END'
SELECT 'CREATE DATABASE taskforge' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'taskforge') \gexec
END
  as_user psql -X -q -v ON_ERROR_STOP=1 -h "$home/run" -U postgres -d taskforge -f "$home/share/sql/roles.sql" >/dev/null
}

redis() { as_user redis-cli -s "$home/run/redis.sock" "$@"; }
redis_ready() { [ "$(redis ping)" = PONG ]; }

start_redis() {
  start redis "$(sum "$home/conf/redis.conf")" 1 "$home/bin/taskforge-slice" redis-server "$home/conf/redis.conf"
  wait_for redis 60 redis_ready
}

start_nchan() {
  alive nchan || rm -f "$home/run/nchan.sock" # nginx does not replace what a killed one left
  # nchan makes nginx want its built-in temporary directory too, whatever the configuration says. Nothing is put there.
  body=/var/lib/nginx/body
  [ -d $body ] || { is_root && install -d -m 0700 -o www-data $body; } || die "as root, once: mkdir $body"
  start nchan "$(sum "$home/conf/nchan.conf")" 1 \
    prlimit --as=1073741824 "$home/bin/taskforge-slice" nginx -p "$home" -e stderr -c "$home/conf/nchan.conf" -g 'daemon off;'
  wait_for nchan 20 test -S "$home/run/nchan.sock"
}

start_nginx() {
  as_user nginx -t -q -p "$home" -e stderr -c "$home/conf/nginx.conf" ||
    die "nginx refuses $home/conf/nginx.conf"
  start nginx "$(sum "$home/bin/ngx_http_taskforge_module.so" "$(command -v nginx)")" "$(sum "$home/conf/nginx.conf" "$home/conf/jwt.key")" \
    nginx -p "$home" -e stderr -c "$home/conf/nginx.conf" -g 'daemon off;'
  wait_for nginx 20 curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$port/livez"
}

# Before anything is stopped or started for them.
check_settings() {
  for daemon in scheduler worker; do
    complaint=$(as_user "$home/bin/taskforge-$daemon" -c "$home/conf/taskforge.env" -t 2>&1) || {
      say "$complaint" >&2
      die "taskforge-$daemon refuses $home/conf/taskforge.env"
    }
  done
}

start_daemon() { # worker or scheduler, directories with more of its settings
  daemon=$1
  shift
  start "$daemon" "$({
    cat "$home/bin/taskforge-$daemon" "$home/conf/taskforge.env" "$home/share/taskforge.lua"
    [ $# -eq 0 ] || find "$@" -type f -exec cksum {} +
  } | sum)" 1 "$home/bin/taskforge-$daemon" -c "$home/conf/taskforge.env"
}

start_worker() { start_daemon worker "$home/handlers" "$home/plugins" "$home/connections"; }
start_scheduler() { start_daemon scheduler; }

start_sandbox() {
  say '  WARNING: payments go to a sandbox, where nobody pays anything. For a demonstration only!'
  start sandbox "$(sum "$home/bin/taskforge-payment-sandbox" "$home/conf/payment-sandbox.key")-$sandbox_port" 1 perl \
    "$home/bin/taskforge-payment-sandbox" --port "$sandbox_port" --state "$home/payments" --key-file "$home/conf/payment-sandbox.key"
  wait_for sandbox 20 curl -sS -m 2 -o /dev/null "http://127.0.0.1:$sandbox_port/"
}

ours() { # part: false for what the user brings along, and for what is not asked for
  case $1 in
    sandbox) sandbox_is_part ;;
    postgres) [ -z "${DATABASE_URL-}" ] ;;
    redis) [ -z "${REDIS_URL-}" ] ;;
  esac
}
