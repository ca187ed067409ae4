# Sourced by the scenarios beside it. Each runs in a process of its own, with
#
#   HOLDPOINT_MODE   win10 or win7: which Windows it is
#   HOLDPOINT_AGENT  the agent built for it
#   HOLDPOINT_BIN    folder of the native programs: holdpoint-collector, holdpoint
#   HOLDPOINT_WORK   an empty folder of its own; the Windows in it is fresh
#
# and ends with 0, with 77 after `left_out`, or with anything else when it failed.

set -euo pipefail
wine_here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
wine_cross=$(cd "$wine_here/../../deploy/cross" && pwd)
export WINEPREFIX=$HOLDPOINT_WORK/windows WINE_OS=$HOLDPOINT_MODE
# Longest wait for a program that should end by itself, and for a condition that should come true, in seconds.
wine_limit=180
wine_soon=120

say() { echo "    $*"; }

# fail WHAT : the scenario ends here
fail() { echo "    FAILED: $*" >&2; exit 1; }

# left_out WHY : what this scenario shows cannot be shown here
left_out() { echo "    left out: $*"; exit 77; }

# windows PROGRAM ARGS... : runs a program inside, with a time limit
windows() { timeout "$wine_limit" "$wine_cross/wine-run" "$@"; }

# agent ARGS... : runs the agent inside, with a time limit
agent() { windows "$HOLDPOINT_AGENT" "$@"; }

# boot : a fresh Windows that stays up until the scenario ends
boot() {
  windows --init
  "$wine_cross/wine-run" --hold 3600 </dev/null >/dev/null 2>&1 &
  wait_for "Windows is up" windows cmd /c exit
}

# shut_down : every program inside ends
shut_down() { "$wine_cross/wine-run" --stop 2>/dev/null || true; }

# import FILE : a .reg file in UTF-8 into the registry
import() {
  { printf '\xff\xfe'; iconv -f UTF-8 -t UTF-16LE "$1"; } >"$HOLDPOINT_WORK/import.reg"
  windows regedit /S "$HOLDPOINT_WORK/import.reg"
}

# wait_for WHAT COMMAND... : until the command succeeds
wait_for() {
  local what=$1 end=$((SECONDS + wine_soon)); shift
  until "$@" >/dev/null 2>&1; do
    (( SECONDS < end )) || fail "waited $wine_soon s until $what"
    sleep 0.2
  done
}

# holds FILE FILTER WHAT : a jq filter that must be true of a JSON document
holds() {
  jq -e "$2" "$1" >/dev/null || { jq -c . "$1" | cut -c1-4000 >&2; fail "$3"; }
}

# section FILE KIND : what a scan says of a section, "status (reasons)"
section() { jq -r --arg kind "$2" '.sections[$kind] | "\(.status) (\(.reasons | join("; ")))"' "$1"; }

# read_by_this_agent FILE KIND : leaves the scenario out where the agent has no probe of Windows for a section
read_by_this_agent() {
  jq -e --arg kind "$2" '.sections[$kind] | .status != "unsupported"' "$1" >/dev/null ||
    left_out "this agent has no probe of Windows for $2"
}

# --- a zone of its own, native

free_port() {
  local port
  while port=$(shuf -i 20000-45000 -n 1); do
    [[ -n $(ss -Hltn "sport = :$port") ]] || { echo "$port"; return; }
  done
}

# zone : a collector on 127.0.0.1; sets `collector` (its address) and `profile` (an operator's)
zone() {
  local data=$HOLDPOINT_WORK/zone
  collector=127.0.0.1:$(free_port)
  profile=$HOLDPOINT_WORK/operator.toml
  "$HOLDPOINT_BIN/holdpoint-collector" init --data "$data" --site plant --zone line-1 --listen "$collector" >/dev/null 2>&1
  # Without the prefix: what has it belongs to the Windows of this scenario.
  env -u WINEPREFIX "$HOLDPOINT_BIN/holdpoint-collector" --log warn run --data "$data" </dev/null >"$HOLDPOINT_WORK/collector.log" 2>&1 &
  wait_for "the collector listens" listens "${collector##*:}"
  local token
  token=$("$HOLDPOINT_BIN/holdpoint-collector" operator add tester --data "$data" --role engineer --role admin 2>/dev/null)
  "$HOLDPOINT_BIN/holdpoint" --profile "$profile" enroll --collector "$collector" --token "$token" >/dev/null 2>&1
}

listens() { [[ -n $(ss -Hltn "sport = :$1") ]]; }

# token : for one host
token() { "$HOLDPOINT_BIN/holdpoint-collector" token create --data "$HOLDPOINT_WORK/zone" --uses 1 2>/dev/null; }

# ask ARGS... : an operator's question, answered in JSON
ask() { "$HOLDPOINT_BIN/holdpoint" --profile "$profile" -o json "$@"; }

# enrolled STATE : makes this Windows an asset of the zone, with its state in a folder of it (C:\...)
enrolled() { agent enroll --collector "$collector" --token "$(token)" --state "$1"; }

# What a scenario started ends with it: children of this shell, and everything inside its Windows.
wine_end() {
  local code=$? child
  shut_down
  for child in $(jobs -p); do kill "$child" 2>/dev/null || true; done
  if (( code != 0 && code != 77 )) && [[ -s $HOLDPOINT_WORK/collector.log ]]; then
    tail -5 "$HOLDPOINT_WORK/collector.log" >&2
  fi
  exit "$code"
}
trap wine_end EXIT
