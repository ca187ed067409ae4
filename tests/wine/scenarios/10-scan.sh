# A scan prints one JSON document with every section, without a collector, and ends by itself.
. "$(dirname "$0")/../lib.sh"
boot
found=$HOLDPOINT_WORK/scan.json
agent scan -o json >"$found" 2>"$HOLDPOINT_WORK/said" || { cat "$HOLDPOINT_WORK/said" >&2; fail "the scan ended with $?"; }
# Wine has something to say of a drive that is the host's own root.
said=$(grep -v '^wine: ' "$HOLDPOINT_WORK/said" || true)
[[ -z $said ]] || fail "a scan says nothing but its result: $said"
holds "$found" '.sections | has("platform") and has("software") and has("self")' "every section is named"
holds "$found" '[.sections[] | .status] | all(. == "complete" or . == "partial" or . == "failed" or . == "unsupported")' \
  "every section says how whole it is"
holds "$found" '[.sections[] | select(.status != "complete") | .reasons | length > 0] | all' "what is not complete says why"
for kind in $(jq -r '.sections | keys[]' "$found"); do say "$kind: $(section "$found" "$kind" | cut -c1-150)"; done

agent scan -o json >"$HOLDPOINT_WORK/again.json"
first=$(jq -c '.sections | map_values(.digest)' "$found")
[[ $first = "$(jq -c '.sections | map_values(.digest)' "$HOLDPOINT_WORK/again.json")" ]] || {
  diff <(jq . "$found") <(jq . "$HOLDPOINT_WORK/again.json") >&2 || true
  fail "two scans of a Windows on which nothing happens are equal"
}

windows cmd /c "mkdir C:\\out" 
agent scan --section platform --out 'C:\out\scan.oneshot'
[[ -s $WINEPREFIX/drive_c/out/scan.oneshot ]] || fail "a one-shot is written where it is asked for"

code=0; agent scan --section nonsense >/dev/null 2>&1 || code=$?
[[ $code = 2 ]] || fail "wrong usage ends with 2, not $code"
