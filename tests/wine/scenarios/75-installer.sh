# The installer: silent, started by the service manager, enrolled by properties, listed by its own scan, upgraded with its
# identity, not downgraded, removed without rest; and the state kept when that is wanted.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../service.sh"
command -v wixl >/dev/null && command -v msibuild >/dev/null || left_out "wixl and msitools are not here"
boot
zone
picture before
build_msi="$wine_here/../../deploy/windows/build-msi"
older=$("$build_msi" --exe "$HOLDPOINT_AGENT" --out "$HOLDPOINT_WORK" --version 0.0.9)
old=$("$build_msi" --exe "$HOLDPOINT_AGENT" --out "$HOLDPOINT_WORK" --version 0.1.0)
new=$("$build_msi" --exe "$HOLDPOINT_AGENT" --out "$HOLDPOINT_WORK" --version 0.1.1)
installed() { windows reg query 'HKLM\SOFTWARE\Holdpoint\Agent' /v Version | tr -d '\r' | grep -q "$1"; }
identity() { sha256sum <"$state_dir/certificate.pem"; }
install() { windows msiexec /i "$@" /qn || fail "msiexec /i $* ended with $?"; }
# Wine's installer goes on while a service that it stops still ends, and then cannot delete its program.
remove() {
  windows sc stop $service >/dev/null
  wait_for "the service stops" is_state STOPPED
  wait_for "its process ends" has_no_process
  windows msiexec /x "$@" /qn || fail "msiexec /x $* ended with $?"
}

install "$old" "COLLECTOR=$collector" "TOKEN=$(token)"
wait_for "the service manager starts the service" is_state RUNNING
wait_for "the host reports" has_reported
wait_for "the token is deleted" is_gone "$state_dir/enroll.ini"
windows reg query "$source_key" /v EventMessageFile | grep -qi 'EventCreate.exe' || fail "no source of events"
say "installed silently, enrolled and reported"
key_is_sealed
first=$(identity)

agent scan --section software -o json >"$HOLDPOINT_WORK/software.json"
if [[ $(section "$HOLDPOINT_WORK/software.json" software) = unsupported* ]]; then
  say "not shown: the product in its own list (this agent reads no software on Windows)"
else
  holds "$HOLDPOINT_WORK/software.json" '.sections.software.rows | any(.name == "Holdpoint Agent" and .version == "0.1.0")' "the product is listed"
  say "the product is in the list of its own scan"
fi

# Before the upgrade: Wine forgets what it knows of a product's other versions when it removes one of them.
code=0; windows msiexec /i "$older" /qn || code=$?
# 1603, of which a shell sees the low byte.
(( code == 1603 % 256 )) || fail "the downgrade ended with $code and not with 1603"
installed '0\.1\.0' || fail "the downgrade happened"
say "a downgrade is refused"

install "$new" "COLLECTOR=$collector" TOKEN=hp1.used
wait_for "the new version runs" is_state RUNNING
installed '0\.1\.1' || fail "the new version is not there"
[[ $(identity) = "$first" ]] || fail "the upgrade changed the identity"
wait_for "the order of the upgrade is deleted" is_gone "$state_dir/enroll.ini"
say "upgraded with its identity"

remove "$new" KEEPSTATE=1
is_absent || fail "the service is left"
[[ -e $state_dir/key.pem ]] || fail "KEEPSTATE=1 did not keep the state"
install "$new"
wait_for "it runs with the kept identity" is_state RUNNING
[[ $(identity) = "$first" ]] || fail "the kept identity is another one"
say "a kept state is taken up again"

remove "$new"
is_gone "$state_dir" || fail "the state is left: $(find "$state_dir")"
without_rest
say "removed without rest"

install "$new" 'STATEDIR=C:\plant state'
wait_for "it runs" is_state RUNNING
[[ -d "$WINEPREFIX/drive_c/plant state" ]] || fail "the state is not where it was said"
remove "$new"
is_gone "$WINEPREFIX/drive_c/plant state" || fail "the state elsewhere is left"
without_rest
say "a state elsewhere is found again and removed"
