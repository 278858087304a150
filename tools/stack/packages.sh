# shellcheck shell=sh
# Debian packages. Read by ./taskforge.

packages() { # purpose...: the packages for these purposes that are not installed, on one line
  # shellcheck disable=SC2046  # names
  set -- $(awk -v want=" $* " '!/^#/ && index(want, " " $1 " ") { for (i = 2; i <= NF; i++) print $i }' "$root/conf/packages")
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null) || : # it fails for those it has not heard of
  for package; do
    case $package in # may well come from elsewhere
      nodejs) ! have node || continue ;;
      npm) ! have npm || continue ;;
    esac
    case "
$installed
" in
      *"
installed $package
"*) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

# Debian starts a service of each server it installs, and PostgreSQL makes a cluster. Ours are private ones, so for
# the time of the installation both are told not to.
apt_install() { # log package...
  log=$1 rc=0 quiet=/usr/sbin/policy-rc.d nocluster=/etc/postgresql-common/createcluster.d/taskforge.conf
  shift
  if [ -e $quiet ]; then quiet=; else
    printf '#!/bin/sh\nexit 101\n' >$quiet
    chmod 755 $quiet
  fi
  mkdir -p "${nocluster%/*}"
  echo 'create_main_cluster = false' >$nocluster
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1 || rc=$?
  rm -f $nocluster $quiet
  return $rc
}

need_packages() { # purpose...
  missing=$(packages "$@")
  [ -n "$missing" ] || return 0
  say "missing Debian packages: $missing"
  { is_root && have apt-get; } ||
    die "as root: apt-get update && apt-get install --no-install-recommends $missing"
  say 'installing them'
  log=$(mktemp)
  # shellcheck disable=SC2086  # a list of names
  apt_install "$log" $missing ||
    { apt-get update -q >"$log" 2>&1 </dev/null && apt_install "$log" $missing; } ||
    { tail -n 20 "$log" >&2; rm -f "$log"; die 'the installation failed'; }
  rm -f "$log"
}
