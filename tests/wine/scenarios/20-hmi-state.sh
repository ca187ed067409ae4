# The registry of an HMI, as regedit imports it: build and revision, products of both views and of any
# script, each with its own source.
. "$(dirname "$0")/../lib.sh"
boot
import "$wine_here/hosts/hmi.reg"
found=$HOLDPOINT_WORK/scan.json
agent scan -o json >"$found" 2>/dev/null
read_by_this_agent "$found" software

product() { # NAME VERSION SOURCE
  jq -e --arg name "$1" --arg version "$2" --arg source "$3" \
    '.sections.software.rows | any(.name == $name and .version == $version and .source == $source)' "$found" >/dev/null ||
    { jq -c '.sections.software.rows[] | [.name, .version, .source]' "$found" >&2; fail "$1 $2 is a row of $3"; }
}
product "SIMATIC WinCC Runtime Advanced" 17.00.0500 registry64
product "FactoryTalk View SE Client" 13.00.00 registry32
product "Müller Prüfstand 測試" 1.0 registry32
holds "$found" '.sections.software.rows | any(.publisher == "Rockwell Automation, Inc.")' "publishers are taken over"

read_by_this_agent "$found" platform
say "platform: $(jq -c '.sections.platform.rows[0]' "$found" | cut -c1-600)"
holds "$found" '.sections.platform.rows[0] | tostring | contains("19044") and contains("4056")' \
  "build 19044 and revision 4056 are told"
