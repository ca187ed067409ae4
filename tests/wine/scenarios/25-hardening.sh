# Two synthetic states of an HMI, as regedit imports them: each fact of the lists beside them says what it
# should, and a password in plain text is never told. The agent's own tests hold the same lists against the
# same files without Wine.
. "$(dirname "$0")/../lib.sh"
found=$HOLDPOINT_WORK/scan.json

# said FILE ID SUBJECT : the value of a fact, or its state where it has none
said() {
  jq -c --arg id "$2" --arg subject "$3" '[.sections.hardening.rows[] | select(.id == $id and ((.subject // "") == $subject))]
    | if length != 1 then "\(length) rows" else .[0] | if has("value") and .value != null then .value else .state end end' "$1"
}

for state in weak hardened; do
  # Each in a Windows of its own: an import takes nothing away that another one brought.
  shut_down
  rm -rf "$WINEPREFIX"
  boot
  import "$wine_here/hosts/$state.reg"
  agent scan --section hardening -o json >"$found" 2>/dev/null
  read_by_this_agent "$found" hardening
  count=0
  while IFS='|' read -r id subject value; do
    got=$(said "$found" "$id" "$subject")
    [[ $got = "$(jq -c . <<<"$value")" ]] || fail "$state: $id ${subject:+of $subject }is $value, not $got"
    count=$((count + 1))
  done <"$wine_here/hosts/$state.facts"
  if grep -q never-told "$found"; then fail "$state: a password is told"; fi
  holds "$found" '[.sections.hardening.rows[] | select(.state != "observed") | (.reason // "") != ""] | all' \
    "$state: what was not observed has a reason"
  say "$state: $count facts are as they should be; $(section "$found" hardening | cut -c1-200)"
done
