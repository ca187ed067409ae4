# Sourced by the scripts beside it: where the private toolchain lies and how cargo is pointed at a
# target. Sets nothing outside the process.

: "${RUST_CROSS_HOME:=${XDG_CACHE_HOME:-$HOME/.cache}/rust-cross}"
cross_usr=$RUST_CROSS_HOME/root/usr
cross_bin=$RUST_CROSS_HOME/bin
cross_here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cross_headers=$RUST_CROSS_HOME/kernel-headers
musl=x86_64-unknown-linux-musl

# which toolchain can build for musl here: `rustup`, `private`, or nothing
musl_toolchain() {
  command -v musl-gcc >/dev/null || return 0
  if [[ -d $(rustc --print sysroot 2>/dev/null)/lib/rustlib/$musl/lib ]]; then
    echo rustup
  elif [[ -e $cross_usr/lib/rustlib/$musl/lib/.built ]]; then
    echo private
  fi
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
  cross_target_env "$target"
  export CARGO_BUILD_TARGET=$target
  export RUSTC=$cross_bin/rustc RUSTDOC=$cross_bin/rustdoc PATH=$cross_bin:$PATH
  unset RUSTUP_TOOLCHAIN
  # A target folder of its own: sharing one with another version of rustc would build the build
  # scripts and macros anew at every change of compiler.
  if [[ -n ${CARGO_TARGET_DIR:-} ]]; then
    export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/cross
  else
    local manifest
    if manifest=$("$cross_bin/cargo" locate-project --workspace --message-format plain 2>/dev/null); then
      export CARGO_TARGET_DIR=${manifest%/*}/target/cross
    fi
  fi
  exec "$cross_bin/cargo" "$@"
}

# linker and C compiler of one target, in the variables that cargo and the cc crate read; what the
# caller has set stays
cross_target_env() {
  local upper=${1^^} lower=${1//-/_} cc ar linker v
  upper=${upper//-/_}
  case $1 in
    # musl is linked by the plain gcc: the target's own start files lie in the sysroot
    "$musl") kernel_headers; cc="musl-gcc -isystem $cross_headers"; ar=ar; linker=cc ;;
    *) return 0 ;;
  esac
  v=CARGO_TARGET_${upper}_LINKER; export "$v=${!v:-$linker}"
  v=CC_$lower;                    export "$v=${!v:-$cc}"
  v=AR_$lower;                    export "$v=${!v:-$ar}"
}
