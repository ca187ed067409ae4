# The machine says who it is in its SMBIOS table: maker, model, firmware and serial number come from there.
. "$(dirname "$0")/../lib.sh"
as_ipc=("$wine_cross/with-dmi" "$wine_here/hosts/ipc477e")
"${as_ipc[@]}" true 2>/dev/null || left_out "a private mount over /sys/class/dmi needs root"
export WINEDEBUG=-all
windows --init
shut_down
found=$HOLDPOINT_WORK/scan.json
# No Windows may run yet: a running one keeps what it saw.
timeout "$wine_limit" "${as_ipc[@]}" "$wine_cross/wine-run" "$HOLDPOINT_AGENT" scan -o json >"$found" 2>/dev/null ||
  fail "the scan ended with $?"
read_by_this_agent "$found" firmware
say "$(jq -c '.sections.firmware.rows[0]' "$found" | cut -c1-400)"
holds "$found" '.sections.firmware.rows | any(.vendor == "Siemens AG" and .version == "V25.02.07")' "the firmware is told"
holds "$found" '.sections.firmware.rows | any(tostring | contains("SIMATIC IPC477E"))' "the model is told"
