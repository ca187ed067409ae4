# The service by its verbs: made, enrolled by the order beside it, stopped, started, taken away without rest.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../service.sh"
boot
zone
picture before
folder="$WINEPREFIX/drive_c/Program Files/Holdpoint"
mkdir -p "$folder"
cp "$HOLDPOINT_AGENT" "$folder/holdpoint-agent.exe"
program='C:\Program Files\Holdpoint\holdpoint-agent.exe'

if windows "$program" service run >"$HOLDPOINT_WORK/out" 2>&1; then fail "a person can start service run"; fi
grep -q 'holdpoint-agent run' "$HOLDPOINT_WORK/out" || fail "it does not say what to type: $(cat "$HOLDPOINT_WORK/out")"

windows "$program" service install --collector "$collector" --token "$(token)" >"$HOLDPOINT_WORK/out" 2>&1 ||
  fail "service install: $(cat "$HOLDPOINT_WORK/out")"
sed 's/^/    | /' "$HOLDPOINT_WORK/out"
wait_for "the service runs" is_state RUNNING
windows reg query "HKLM\\SYSTEM\\CurrentControlSet\\Services\\$service" /v ImagePath | grep -q 'service run --state' ||
  fail "its command line is another one"
wait_for "the host reports" has_reported
wait_for "the token is deleted" is_gone "$state_dir/enroll.ini"
say "installed, enrolled and reported"
key_is_sealed
kill_file_is_honoured

ask asset show "$(ask assets | jq -r '.[0].id')" >"$HOLDPOINT_WORK/asset.json"
holds "$HOLDPOINT_WORK/asset.json" '.sections.self.rows[0].key_protection == "dpapi-machine"' "how the key is kept is told" 
holds "$HOLDPOINT_WORK/asset.json" '.sections.self.rows[0].state_storage == "kept"' "whether the state is kept is told"
say "cage: $(jq -c '.sections.self.rows[0].cage' "$HOLDPOINT_WORK/asset.json")"

stops_soon
windows sc start $service >/dev/null
wait_for "it starts again" is_state RUNNING
windows "$program" service remove >"$HOLDPOINT_WORK/out" 2>&1 || fail "service remove: $(cat "$HOLDPOINT_WORK/out")"
is_gone "$state_dir" || fail "the state is left"
rm -r "$folder"
without_rest
say "removed without rest"
