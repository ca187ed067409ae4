# Makes a Debian root that lags behind its distribution's security suite by one package, with everything at hand
# to upgrade it without a network.
#   root.sh DIR SUITE MIRROR SECURITY_SUITE SECURITY_MIRROR
# Runs in its own mount name space. DIR/root is the root; DIR/upgrade says which package, the version that is
# installed, the one of the security suite, and a library of it that a process can map.
set -eu
dir=$1 suite=$2 mirror=$3 security_suite=$4 security=$5
root=$dir/root
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

debootstrap --variant=minbase "$suite" "$root" "$mirror"
mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/"
printf 'deb %s %s main\n' "$mirror" "$suite" "$security" "$security_suite" >"$root/etc/apt/sources.list"
inside apt-get --quiet -o Acquire::Languages=none update

# newer PACKAGE: sets `old` and `new` when the security suite has a newer one that comes alone, with a library.
newer() {
  planned=$(inside apt-get --simulate install --only-upgrade "$1" | grep '^Inst ') || return 1
  old=$(echo "$planned" | sed -n "s/^Inst $1 \[\([^]]*\)\] (\([^ ]*\) .*[Ss]ecurity.*/\1/p")
  new=$(echo "$planned" | sed -n "s/^Inst $1 \[\([^]]*\)\] (\([^ ]*\) .*[Ss]ecurity.*/\2/p")
  library=$(inside dpkg --listfiles "$1" | grep -m 1 '/lib[^/]*\.so\.[0-9]*$') || return 1
  [ -n "$new" ] && [ "$(echo "$planned" | wc -l)" = 1 ]
}
upgradable() { inside apt-get --simulate upgrade | sed -n 's/^Inst \(lib[^ ]*\) .*/\1/p'; }
try() {
  for package in "$@"; do
    if newer "$package"; then return; fi
  done
  return 1
}
# Right after a point release the suites can agree about all that is here: then about something else.
if ! try $(upgradable); then
  inside apt-get --quiet --yes install --no-install-recommends -t "$suite" libxml2 libexpat1 libsqlite3-0 openssl || true
  try $(upgradable) || { echo "the security suite has nothing newer than the main suite today" >&2; exit 3; }
fi
inside apt-get --quiet --yes --download-only install --only-upgrade "$package"
inside apt-get --quiet --yes --download-only install tree
umount "$root/proc"
echo "$package $old $new $library" >"$dir/upgrade"
