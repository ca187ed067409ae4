# Over mutual TLS, against a native collector: enrol, report once, then stay and answer a challenge.
. "$(dirname "$0")/../lib.sh"
boot
zone
state='C:\holdpoint\agent'
folder=$WINEPREFIX/drive_c/holdpoint/agent

said=$(enrolled "$state")
say "$said"
[[ $said = "enrolled as spiffe://plant/zone/line-1/agent/"* ]] || fail "the identity is told"
# Wine keeps an access list as the mode of a Unix file: administrators stand in the group's place.
for secret in . key.pem agent.toml sequence; do
  [[ -e $folder/$secret ]] || continue
  mode=$(stat -c %a "$folder/$secret")
  [[ $mode = *0 ]] || fail "$secret is nobody else's: its access list has become mode $mode"
done
mode=$(stat -c %a "$folder/certificate.pem")
[[ $mode != *0 ]] || fail "a certificate is everybody's: mode $mode; so the modes say something"

agent run --once --state "$state" 2>"$HOLDPOINT_WORK/once.log" || { cat "$HOLDPOINT_WORK/once.log" >&2; fail "one report is taken"; }
ask assets >"$HOLDPOINT_WORK/assets.json"
holds "$HOLDPOINT_WORK/assets.json" 'length == 1 and .[0].freshness == "fresh"' "the asset is there, and fresh"
say "$(jq -c '.[0] | {id, os, os_version, sections, software_count}' "$HOLDPOINT_WORK/assets.json")"
asset=$(jq -r '.[0].id' "$HOLDPOINT_WORK/assets.json")

"$wine_cross/wine-run" "$HOLDPOINT_AGENT" run --state "$state" </dev/null >"$HOLDPOINT_WORK/agent.log" 2>&1 &
running=$!
answered() { ask rescan "$asset" --wait 20s >"$HOLDPOINT_WORK/rescan.json" && jq -e '.[0].answered' "$HOLDPOINT_WORK/rescan.json"; }
wait_for "the running agent answers a challenge" answered
ask rescan "$asset" --wait 30s >"$HOLDPOINT_WORK/rescan.json"
say "$(jq -c '.[0]' "$HOLDPOINT_WORK/rescan.json")"
holds "$HOLDPOINT_WORK/rescan.json" '.[0] | .answered and (.took_s < 10)' "a challenge is answered soon"

code=0; agent run --once --state "$state" >/dev/null 2>"$HOLDPOINT_WORK/second.log" || code=$?
[[ $code = 3 ]] || fail "a second agent does not use the same state (exit code $code)"
grep -q "another agent uses" "$HOLDPOINT_WORK/second.log" || fail "it says why: $(cat "$HOLDPOINT_WORK/second.log")"

touch "$folder/kill"
declined() { ask rescan "$asset" --wait 20s >"$HOLDPOINT_WORK/rescan.json" || true; jq -e '.[0].reason == "kill-file"' "$HOLDPOINT_WORK/rescan.json"; }
wait_for "an agent with a kill file declines" declined
kill -0 "$running" || fail "the agent still runs: $(tail -3 "$HOLDPOINT_WORK/agent.log")"
