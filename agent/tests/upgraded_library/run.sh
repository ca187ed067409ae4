# Upgrades a library below a running program, and scans before, after, and after a restart.
# Runs as the first process of its own process name space, so that its end is the end of everything
# it started, and in its own mount name space, so that nothing is left mounted.
#   run.sh ROOT WORK AGENT      ROOT: a Debian root; WORK: gets before.json, after.json, restarted.json
set -eu
root=$1 work=$2 agent=$3

mount -t proc proc "$root/proc"
cp "$agent" "$root/usr/local/bin/holdpoint-agent"
library=/usr/lib/$(gcc -print-multiarch)
packages="holdpointdemo libholdpointdemo1 libholdpointversioned1"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
clean() {
  inside dpkg --purge --force-all $packages >/dev/null 2>&1 || true
  rm -f "$root"/tmp/*.deb
}
clean
trap 'clean; rm -f "$root/usr/local/bin/holdpoint-agent"' EXIT

# shared PACKAGE FILE VERSION FUNCTION SONAME: a library with one function that says its version.
shared() {
  mkdir -p "$work/$1$library"
  echo "const char *$4(void) { return \"$3\"; }" >"$work/source.c"
  gcc -shared -fPIC -Wl,-soname,"$5" -o "$work/$1$library/$2" "$work/source.c"
}

# package NAME VERSION MULTIARCH: packs the tree in WORK/NAME.
package() {
  mkdir -p "$work/$1/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMulti-Arch: %s\nMaintainer: Nobody <nobody@example.org>\nDescription: demonstration\n' \
    "$1" "$2" "$(dpkg --print-architecture)" "$3" >"$work/$1/DEBIAN/control"
  dpkg-deb --build --root-owner-group -Znone "$work/$1" "$work/$1_$2.deb" >/dev/null
  cp "$work/$1_$2.deb" "$root/tmp/"
}

for minor in 1 2; do
  rm -rf "$work/libholdpointdemo1" "$work/libholdpointversioned1"
  shared libholdpointdemo1 libholdpointdemo.so.1 "$minor" plain libholdpointdemo.so.1
  package libholdpointdemo1 "1.0-$minor" same
  shared libholdpointversioned1 "libholdpointversioned.so.1.$minor" "$minor" versioned libholdpointversioned.so.1
  ln -s "libholdpointversioned.so.1.$minor" "$work/libholdpointversioned1$library/libholdpointversioned.so.1"
  package libholdpointversioned1 "1.0-$minor" same
done
mkdir -p "$work/holdpointdemo/usr/bin"
cat >"$work/program.c" <<'C'
#include <stdio.h>
#include <unistd.h>
const char *plain(void), *versioned(void);
int main(void) { printf("%s %s\n", plain(), versioned()); fflush(stdout); pause(); return 0; }
C
gcc -o "$work/holdpointdemo/usr/bin/holdpointdemo" "$work/program.c" \
  "$work/libholdpointdemo1$library/libholdpointdemo.so.1" \
  "$work/libholdpointversioned1$library/libholdpointversioned.so.1"
package holdpointdemo 1.0-1 no

# start FILE: starts the program and waits until it said what it loaded.
start() {
  chroot "$root" /usr/bin/holdpointdemo >"$work/$1" &
  program=$!
  for _ in $(seq 200); do
    if [ -s "$work/$1" ]; then return; fi
    sleep 0.05
  done
  echo "the program did not start" >&2
  exit 1
}
scan() { inside holdpoint-agent scan --section live -o json >"$work/$1.json"; }

inside dpkg -i "/tmp/libholdpointdemo1_1.0-1.deb" "/tmp/libholdpointversioned1_1.0-1.deb" /tmp/holdpointdemo_1.0-1.deb >/dev/null
start old
scan before
inside dpkg -i "/tmp/libholdpointdemo1_1.0-2.deb" "/tmp/libholdpointversioned1_1.0-2.deb" >/dev/null
scan after
kill "$program"
wait "$program" || true
start new
scan restarted
