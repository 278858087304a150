# shellcheck shell=sh
# Accounts, and the audit of who did what. Read by ./taskforge.

# SQL from standard input, as the owner of the tables; what it may hold of secrets is in no process list.
owner_sql() { (exec_psql "$owner_url" -X -q -A -t -F ' ' -v ON_ERROR_STOP=1); }

check_account() { # username email role
  expr "x$1" : 'x[A-Za-z0-9_.-]\{3,64\}$' >/dev/null || die "a username has 3 to 64 letters, digits and _ . -" 2
  expr "x$2" : 'x[A-Za-z0-9_.+-]\{1,64\}@[A-Za-z0-9-]\{1,\}\(\.[A-Za-z0-9-]\{1,\}\)\{1,\}$' >/dev/null ||
    die "\"$2\" does not look like name@example.com" 2
  case $3 in viewer | operator | admin) ;; *) die 'a role is viewer, operator or admin' 2 ;; esac
}

# The password is the first line of standard input. A UUIDv7, like every id.
make_account() { # username email role [--any]
  # shellcheck disable=SC2086  # an option, or none
  hash=$("$home/bin/taskforge-passwd" ${4-} "$1" "$2") || exit 1
  taken=$(owner_sql <<END
SELECT user_create(overlay(overlay(gen_random_uuid()::text PLACING left(uuid_floor(now())::text, 13) FROM 1)
                           PLACING '7' FROM 15)::uuid,
                   '$1', '$2', '$hash', '$3', NULL, './taskforge', NULL);
END
  ) || die 'the account could not be made'
  [ -z "$taken" ] || die "that $taken is taken"
}

# The first admin, when there is none: from ADMIN_*, or with a random password that is shown now and never again.
first_admin() {
  [ -z "$(echo "SELECT 1 FROM users WHERE role = 'admin' AND active LIMIT 1;" | owner_sql)" ] || return 0
  name=${ADMIN_USERNAME:-admin} email=${ADMIN_EMAIL:-admin@taskforge.local} password=${ADMIN_PASSWORD-} any=
  if [ -n "$demo" ]; then
    name=admin password=admin1234 any=--any
  fi
  if [ -z "$password" ]; then
    password=$(random_text)
    note="the first admin: $name, password $password (shown this once)"
  else
    note="the first admin: $name"
  fi
  check_account "$name" "$email" admin
  printf '%s\n' "$password" | make_account "$name" "$email" admin $any
  say "  $note"
  [ -z "$demo" ] || say '  WARNING: the password of admin is admin1234, and everybody knows it. For a demonstration only!'
}

admin() {
  usage='usage: ./taskforge admin create --username NAME --email ADDRESS [--role viewer|operator|admin]'
  [ "${1-}" = create ] || die "$usage" 2
  shift
  name='' email='' role=admin
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value" 2
    case $1 in
      --username) name=$2 ;;
      --email) email=$2 ;;
      --role) role=$2 ;;
      *) die "admin create does not know $1" 2 ;;
    esac
    shift 2
  done
  { [ -n "$name" ] && [ -n "$email" ]; } || die "$usage" 2
  check_account "$name" "$email" "$role"
  need_database
  if [ -n "${ADMIN_PASSWORD-}" ]; then
    password=$ADMIN_PASSWORD
  else
    if [ -t 0 ]; then
      printf 'password: ' >&2
      trap 'stty echo' EXIT
      trap 'exit 130' INT TERM HUP # dash leaves without the other one
      stty -echo
    fi
    IFS= read -r password || [ -n "$password" ] || die 'there is no password on standard input'
    if [ -t 0 ]; then
      stty echo
      trap - EXIT INT TERM HUP
      echo >&2
    fi
  fi
  printf '%s\n' "$password" | make_account "$name" "$email" "$role"
  say "made the $role $name"
}

audit() {
  [ "$*" = verify ] || die 'usage: ./taskforge audit verify' 2
  need_database
  answer=$(owner_sql <<'END'
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'row', id, problem FROM audit_verify();
SELECT id, 'rows, none changed, none missing. The newest:', coalesce(nullif(encode(hash, 'hex'), ''), '-') FROM audit_head;
END
  ) || die 'the audit could not be read'
  case $answer in
    row*) say "$answer" | head -n 1 && exit 1 ;;
    *) say "$answer" ;;
  esac
}
