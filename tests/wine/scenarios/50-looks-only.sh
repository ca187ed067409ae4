# The agent starts no process and opens no listening port: system calls of its process, calls of Windows as
# Wine writes them down, and the listening ports of the machine while it runs.
. "$(dirname "$0")/../lib.sh"
strace -qq -e trace=none true 2>/dev/null || left_out "strace may not trace here"
boot
zone
state='C:\holdpoint\agent'
enrolled "$state" >/dev/null
trace=$HOLDPOINT_WORK/trace calls=$HOLDPOINT_WORK/calls

WINEDEBUG=+process,+winsock timeout "$wine_limit" \
  strace -f -qq -e trace=execve,execveat,fork,vfork,clone,clone3,listen,accept,accept4 -o "$trace" \
  "$wine_cross/wine-run" "$HOLDPOINT_AGENT" run --once --state "$state" >"$calls" 2>&1 || { tail -5 "$calls" >&2; fail "one report is taken"; }

# wine-run is a script, whose process becomes Wine's loader, which may start itself anew; Windows programs run
# in that process. From there on nothing else is started.
loader=$(grep -nE 'execve\("[^"]*/wine[^"]*", .* = 0$' "$trace" | grep -v wine-run | head -1)
[[ -n $loader ]] || fail "the trace shows the start of Wine"
pid=$(sed -E 's/^[0-9]+:([0-9]+) .*/\1/' <<<"$loader")
after=$(tail -n +"$((${loader%%:*} + 1))" "$trace")
processes=$(grep -E ' (fork|vfork)\(| clone3?\(' <<<"$after" | grep -v CLONE_THREAD || true)
processes+=$(grep -E ' execve(at)?\(' <<<"$after" | grep -v "^$pid " || true)
processes+=$(grep -E "^$pid +execve(at)?\(" <<<"$after" | grep -vE 'execve\("[^"]*wine' || true)
[[ -z $processes ]] || fail "a process was started: $processes"
say "threads started: $(grep -c CLONE_THREAD <<<"$after" || true), processes: 0"
grep -q ':winsock:' "$calls" || fail "Wine writes down what the agent does with sockets"
for call in CreateProcess NtCreateUserProcess listen accept; do
  ! grep -E "trace:(process|winsock):$call" "$calls" || fail "$call was called"
done
# The event loop (mio) wakes Winsock up by binding one UDP socket to the loopback, which it closes at once.
binds=$(grep -c 'winsock:bind socket' "$calls" || true)
others=$(grep 'winsock:bind socket' "$calls" | grep -v 'address 127.0.0.1, port 0 }' || true)
[[ $binds -le 1 && -z $others ]] || fail "something is bound: $(grep 'winsock:bind' "$calls")"
say "processes of Windows: 0, listen: 0, accept: 0, bind: $binds (UDP, 127.0.0.1, closed at once)"

ports() { ss -Hltn | awk '{ print $4 }' | sort -u; }
before=$(ports)
"$wine_cross/wine-run" "$HOLDPOINT_AGENT" run --state "$state" </dev/null >"$HOLDPOINT_WORK/agent.log" 2>&1 &
asset=$(ask assets | jq -r '.[0].id')
answered() { ask rescan "$asset" --wait 20s | jq -e '.[0].answered'; }
wait_for "the running agent answers a challenge" answered
inside=$(for it in /proc/[0-9]*; do
  tr '\0' '\n' 2>/dev/null <"$it/environ" | grep -qxF "WINEPREFIX=$WINEPREFIX" && echo "pid=${it#/proc/},"; done || true)
[[ -n $inside ]] || fail "the processes of this Windows are found"
listening=$(ss -Hltnp | grep -F "$inside" || true)
[[ -z $listening ]] || fail "something inside listens: $listening"
# Others on this machine may have opened or closed some meanwhile; they are told, not judged.
say "listening ports: $(wc -l <<<"$before") before, $(ports | wc -l) while the agent runs, none of a process inside"
