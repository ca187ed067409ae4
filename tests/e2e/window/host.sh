# Switches a host on: puts its disk together, gives it a name and a boot of its own, and leaves it running.
#   host.sh NAME DIR PROGRAMS ROOT
# Runs as the first process of its own mount, PID, network and UTS name spaces, so that its end switches the host
# off. DIR/disk is what the host has written over PROGRAMS and ROOT; DIR/boot_id is this boot's. When the host is
# on, DIR/on has the number of this process outside.
set -eu
name=$1 dir=$2 programs=$3 base=$4
# The name space of numbers is new, and /proc is still the one outside.
read -r number _ </proc/self/stat
root=$dir/root

mount -t overlay -o "lowerdir=$programs:$base,upperdir=$dir/disk,workdir=$dir/work" "$name" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t tmpfs run "$root/run"
mount --bind "$dir/boot_id" "$root/proc/sys/kernel/random/boot_id"
echo "$name" >/proc/sys/kernel/hostname

exec 3>"$dir/on"
exec chroot "$root" /bin/sh -c 'echo "$0" >&3; exec 3>&-; exec sleep infinity' "$number"
