# Sourced by the scripts beside it: where the private toolchain lies and how cargo is pointed at a
# target. Sets nothing outside the process.

: "${RUST_CROSS_HOME:=${XDG_CACHE_HOME:-$HOME/.cache}/rust-cross}"
cross_usr=$RUST_CROSS_HOME/root/usr
cross_bin=$RUST_CROSS_HOME/bin
cross_here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cross_root=$(cd "$cross_here/../.." && pwd)
cross_headers=$RUST_CROSS_HOME/kernel-headers
# Longest wait for rustup, in seconds: no answer is an answer.
cross_patience=120

# full_target NAME : the target that a short name stands for
full_target() {
  case $1 in
    musl)    echo x86_64-unknown-linux-musl ;;
    windows) echo x86_64-pc-windows-gnu ;;
    win7)    echo x86_64-win7-windows-gnu ;;
    win7-32) echo i686-win7-windows-gnu ;;
    *) echo "nothing is known about $1" >&2; return 2 ;;
  esac
}

# the C compiler of a target
cross_cc() {
  case $1 in
    x86_64-unknown-linux-musl) echo musl-gcc ;;
    x86_64-*-windows-gnu)      echo x86_64-w64-mingw32-gcc-posix ;;
    i686-*-windows-gnu)        echo i686-w64-mingw32-gcc-posix ;;
  esac
}

# toolchain_for TARGET : which toolchain can build for it here: `rustup`, `private`, or nothing
toolchain_for() {
  command -v "$(cross_cc "$1")" >/dev/null || return 0
  if [[ -d $(rustc --print sysroot 2>/dev/null)/lib/rustlib/$1/lib ]]; then
    echo rustup
  elif [[ -e $cross_usr/lib/rustlib/$1/lib/.built ]]; then
    echo private
  fi
}

# add_by_rustup TARGET : rustup's own target, where rustup has it to give. Tier 3 has no std there.
add_by_rustup() {
  [[ $1 != *-win7-* ]] && command -v rustup >/dev/null && timeout "$cross_patience" rustup target add "$1" >&2
}

# The kernel's own headers, without those of glibc beside them: musl-gcc has none. Without
# <linux/random.h> AWS-LC knows getrandom(2) alone, and ends the process on a kernel before 3.17.
kernel_headers() {
  mkdir -p "$cross_headers"
  ln -sfn /usr/include/linux "$cross_headers/linux"
  ln -sfn /usr/include/asm-generic "$cross_headers/asm-generic"
  ln -sfn /usr/include/x86_64-linux-gnu/asm "$cross_headers/asm"
}

# cross_cargo TARGET ARGS... : cargo of the private toolchain, built for TARGET by default; replaces
# this process
cross_cargo() {
  local target=$1; shift
  if [[ ! -e $cross_usr/lib/rustlib/$target/lib/.built ]]; then
    echo "no std for $target in $RUST_CROSS_HOME: run $cross_here/setup-cross.sh $target" >&2
    exit 1
  fi
  # A target folder of its own: sharing one with another version of rustc would build the build
  # scripts and macros anew at every change of compiler.
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cross_root/target}/cross
  cross_target_env "$target"
  export CARGO_BUILD_TARGET=$target
  export RUSTC=$cross_bin/rustc RUSTDOC=$cross_bin/rustdoc PATH=$cross_bin:$PATH
  unset RUSTUP_TOOLCHAIN
  exec "$cross_bin/cargo" "$@"
}

# linker and C compiler of one target, in the variables that cargo and the cc crate read; what the
# caller has set stays
cross_target_env() {
  local upper=${1^^} lower=${1//-/_} cc ar linker runner='' v
  upper=${upper//-/_}
  cc=$(cross_cc "$1")
  linker=$cc
  case $1 in
    # musl is linked by the plain gcc: the target's own start files lie in the sysroot
    *-linux-musl) kernel_headers; cc="musl-gcc -isystem $cross_headers"; ar=ar; linker=cc ;;
    *-windows-gnu) ar=${cc%-gcc-posix}-ar; runner=$cross_here/wine-run; reproducible "$1" ;;
    *) return 0 ;;
  esac
  v=CARGO_TARGET_${upper}_LINKER; export "$v=${!v:-$linker}"
  v=CC_$lower;                    export "$v=${!v:-$cc}"
  v=AR_$lower;                    export "$v=${!v:-$ar}"
  if [[ -n $runner ]]; then v=CARGO_TARGET_${upper}_RUNNER; export "$v=${!v:-$runner}"; fi
}

# The same source gives the same bytes: no time of linking, and no path of this machine.
reproducible() {
  local upper=${1^^} lower=${1//-/_} v flags cflags='' pair
  upper=${upper//-/_}
  flags='-Clink-arg=-Wl,--no-insert-timestamp'
  # Of two that fit the later one counts, so the target folder comes after the checkout around it.
  for pair in "$cross_root=/holdpoint" "${CARGO_TARGET_DIR:-$cross_root/target}=/holdpoint/target" \
    "${CARGO_HOME:-$HOME/.cargo}/registry/src=/rust/deps"; do
    flags+=" --remap-path-prefix=$pair"
    cflags+=" -ffile-prefix-map=$pair"
  done
  v=CARGO_TARGET_${upper}_RUSTFLAGS; export "$v=${!v:-$flags}"
  v=CFLAGS_$lower;                   export "$v=${!v:-${cflags# }}"
}
