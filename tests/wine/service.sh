# Sourced by the scenarios of the service and of its installer, after lib.sh.

service=holdpoint-agent
state_dir=$WINEPREFIX/drive_c/ProgramData/Holdpoint/Agent
source_key='HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\Holdpoint Agent'

is_state() { windows sc query $service | tr -d '\r' | grep -q "STATE.*$1"; }
is_absent() { ! windows sc query $service >/dev/null 2>&1; }
has_reported() { ask assets | jq -e 'any(.software_count != null or .last_seen != null)' >/dev/null; }
is_gone() { [[ ! -e $1 ]]; }
# The brackets keep the search from finding itself.
has_no_process() { ! grep -qsaE 'holdpoint-agent[.]exe.*service.*[r]un.*--state' /proc/[0-9]*/cmdline; }

# picture NAME : every file by its name, every key and value of HKLM by its name
picture() {
  (cd "$WINEPREFIX/drive_c" && find . \( -path ./windows/temp -o -path ./users \) -prune -o -print | sort) >"$HOLDPOINT_WORK/$1.files"
  windows regedit /E 'C:\windows\temp\all.reg' HKEY_LOCAL_MACHINE >/dev/null 2>&1
  iconv -f UTF-16LE -t UTF-8 "$WINEPREFIX/drive_c/windows/temp/all.reg" | tr -d '\r' |
    awk '/^\[/ { key = $0; print; next } /^["@]/ { sub(/=.*/, ""); print key " " $0 }' | sort >"$HOLDPOINT_WORK/$1.keys"
}

# without_rest : files, registry and services are what they were when the picture `before` was taken
without_rest() {
  local left
  is_absent || fail "the service is left"
  picture after
  # The folder of the installer's own cache stays, empty.
  left=$(diff "$HOLDPOINT_WORK/before.files" "$HOLDPOINT_WORK/after.files" | grep '^>' | grep -vix '> ./windows/installer' || true)
  [[ -z $left ]] || fail "files are left: $left"
  left=$(diff "$HOLDPOINT_WORK/before.keys" "$HOLDPOINT_WORK/after.keys" | grep '^>' | grep -i holdpoint || true)
  [[ -z $left ]] || fail "registry entries are left: $left"
}

key_is_sealed() {
  grep -q 'BEGIN HOLDPOINT DPAPI-MACHINE KEY' "$state_dir/key.pem" || fail "the key is not sealed: $(head -1 "$state_dir/key.pem")"
  ! grep -q 'PRIVATE KEY' "$state_dir/key.pem" || fail "a plain key is on disk"
  [[ $(stat -c %s "$state_dir/key.entropy") = 32 ]] || fail "no entropy beside the key"
  say "the key on disk is sealed by DPAPI"
}

took_ms() { echo $((($(date +%s%N) - $1) / 1000000)); }

answers() { ask rescan "$1" --wait 20s | jq -e '.[0].answered'; }

kill_file_is_honoured() {
  local id asked took
  id=$(ask assets | jq -r '.[0].id')
  wait_for "a rescan is answered" answers "$id"
  : >"$state_dir/kill"
  asked=$(date +%s%N)
  ask rescan "$id" --wait 20s >"$HOLDPOINT_WORK/declined.json" || true
  took=$(took_ms "$asked")
  holds "$HOLDPOINT_WORK/declined.json" '.[0].reason == "kill-file"' "the kill file declines"
  rm "$state_dir/kill"
  (( took < 5000 )) || fail "the kill file was honoured after $took ms"
  say "the kill file declined a rescan after $took ms"
}

stops_soon() {
  local asked took
  asked=$(date +%s%N)
  windows sc stop $service >/dev/null
  wait_for "the service stops" is_state STOPPED
  took=$(took_ms "$asked")
  # Each question to the service manager is a program of its own, which takes its time on a busy machine.
  (( took < 8000 )) || fail "it took $took ms to stop"
  say "the service stopped, seen after $took ms"
}
