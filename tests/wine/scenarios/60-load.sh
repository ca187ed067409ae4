# What a scan costs: processor time, peak memory, duration. Wine's own start is in it; its server is not.
. "$(dirname "$0")/../lib.sh"
# By contract (DESIGN 11); Wine's own DLLs are counted too, which real Windows shares.
most_kib=$((24 * 1024))
boot
measured() { # ARGS... : prints "wall_ms cpu_ms peak_kib anonymous_kib"
  local start peak=0 anonymous=0 line cpu=0 pid
  start=$(date +%s%N)
  "$wine_cross/wine-run" "$HOLDPOINT_AGENT" "$@" >/dev/null 2>&1 &
  pid=$!
  while [[ -e /proc/$pid/stat ]]; do
    line=$(cat "/proc/$pid/stat" "/proc/$pid/status" 2>/dev/null) || break
    # shellcheck disable=SC2046 # fields
    set -- $(sed -n '1s/.*) //p' <<<"$line")
    [[ ${1:-Z} != Z ]] || break
    cpu=$(((${12} + ${13}) * 10))
    peak=$(awk -v old="$peak" '/^VmHWM/ && $2 > old { old = $2 } END { print old }' <<<"$line")
    anonymous=$(awk -v old="$anonymous" '/^RssAnon/ && $2 > old { old = $2 } END { print old }' <<<"$line")
  done
  wait "$pid" || fail "the agent ended with $?"
  echo "$((($(date +%s%N) - start) / 1000000)) $cpu $peak $anonymous"
}
read -r nothing_ms nothing_cpu nothing_peak nothing_anonymous < <(measured --version)
read -r scan_ms scan_cpu scan_peak scan_anonymous < <(measured scan -o json)
say "program: $(stat -c %s "$HOLDPOINT_AGENT") bytes"
say "start alone: $nothing_ms ms, CPU $nothing_cpu ms, resident $nothing_peak KiB, of it private $nothing_anonymous KiB"
say "scan:        $scan_ms ms, CPU $scan_cpu ms, resident $scan_peak KiB, of it private $scan_anonymous KiB"
(( scan_anonymous > 0 )) || fail "memory was measured"
(( scan_anonymous <= most_kib )) || fail "a scan has at most $most_kib KiB of private memory"
