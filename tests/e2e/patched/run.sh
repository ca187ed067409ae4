# Upgrades a library below a running program on a host that reports, one step at a time.
# Runs as the first process of its own process name space, so that its end is the end of everything it
# started, and in its own mount name space, so that nothing is left mounted.
#   run.sh ROOT WORK AGENT COLLECTOR TOKEN
# After each step the host has reported and WORK/STEP.done is there; WORK/STEP.go lets the next one begin.
set -eu
root=$1 work=$2 agent=$3 collector=$4 token=$5

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
cp "$agent" "$root/usr/local/bin/holdpoint-agent"
library=/usr/lib/$(gcc -print-multiarch)
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
clean() {
  inside dpkg --purge --force-all holdpointservice libholdpointpatched1 >/dev/null 2>&1 || true
  rm -rf "$root"/tmp/*.deb "$root/var/lib/holdpoint-test"
}
clean
trap 'clean; rm -f "$root/usr/local/bin/holdpoint-agent"' EXIT

# package NAME VERSION SOURCE: packs the tree in WORK/NAME.
package() {
  mkdir -p "$work/$1/DEBIAN"
  printf 'Package: %s\nSource: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@example.org>\nDescription: demonstration\n' \
    "$1" "$3" "$2" "$(dpkg --print-architecture)" >"$work/$1/DEBIAN/control"
  dpkg-deb --build --root-owner-group -Znone "$work/$1" "$work/$1_$2.deb" >/dev/null
  cp "$work/$1_$2.deb" "$root/tmp/"
}

for revision in 1 2; do
  rm -rf "$work/libholdpointpatched1"
  mkdir -p "$work/libholdpointpatched1$library"
  echo "const char *patched(void) { return \"$revision\"; }" >"$work/source.c"
  gcc -shared -fPIC -Wl,-soname,libholdpointpatched.so.1 \
    -o "$work/libholdpointpatched1$library/libholdpointpatched.so.1" "$work/source.c"
  package libholdpointpatched1 "1.0-$revision" holdpointpatched
done
mkdir -p "$work/holdpointservice/usr/bin"
cat >"$work/program.c" <<'C'
#include <stdio.h>
#include <unistd.h>
const char *patched(void);
int main(void) { printf("%s\n", patched()); fflush(stdout); pause(); return 0; }
C
gcc -o "$work/holdpointservice/usr/bin/holdpointservice" "$work/program.c" \
  "$work/libholdpointpatched1$library/libholdpointpatched.so.1"
package holdpointservice 1.0-1 holdpointservice

# start FILE: starts the service and waits until it said what it loaded.
start() {
  chroot "$root" /usr/bin/holdpointservice >"$work/$1" &
  service=$!
  for _ in $(seq 200); do
    if [ -s "$work/$1" ]; then return; fi
    sleep 0.05
  done
  echo "the service did not start" >&2
  exit 1
}
# reported STEP: the host reports, and waits for the next step.
reported() {
  # As above.
  for attempt in 1 2 3 4 5; do
    if inside holdpoint-agent run --state /var/lib/holdpoint-test --once; then break; fi
    if [ "$attempt" = 5 ]; then exit 1; fi
    sleep 1
  done
  touch "$work/$1.done"
  while [ ! -e "$work/$1.go" ]; do sleep 0.05; done
}

# A collector on a busy machine may ask a host to come again.
for attempt in 1 2 3 4 5; do
  if inside holdpoint-agent enroll --collector "$collector" --token "$token" --state /var/lib/holdpoint-test >/dev/null
  then break; fi
  if [ "$attempt" = 5 ]; then exit 1; fi
  sleep 1
done
inside dpkg -i /tmp/libholdpointpatched1_1.0-1.deb /tmp/holdpointservice_1.0-1.deb >/dev/null
start old
reported behind
inside dpkg -i /tmp/libholdpointpatched1_1.0-2.deb >/dev/null
reported upgraded
kill "$service"
wait "$service" || true
start new
reported restarted
