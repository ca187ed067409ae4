#!/usr/bin/env bash
# Lays out a private Rust toolchain for other targets in $RUST_CROSS_HOME (default
# ~/.cache/rust-cross), from Debian 12's rustc-web packages: compiler, cargo, clippy and the source
# of std, from which std is built for each target. rustup's toolchains and Debian's own rustc are
# left alone. Runs as root (apt). Does only what is missing.
#
#   setup-cross.sh [--packages] TARGET...
#
# TARGET     x86_64-unknown-linux-musl, x86_64-pc-windows-gnu, x86_64-win7-windows-gnu, i686-win7-windows-gnu
# --packages only the Debian packages and Wine's shim, where another toolchain builds
#
# RUST_CROSS_HOME     where everything goes
# RUST_CROSS_VERSION  a full package version of rustc-web, to pin it
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/cross-env.sh"
export DEBIAN_FRONTEND=noninteractive

say() { echo "setup-cross: $*" >&2; }

# Debian packages that must be on the machine for a target
system_packages() {
  echo gcc libc6-dev binutils ca-certificates
  case $1 in
    *-linux-musl)         echo musl-tools ;;
    x86_64-*-windows-gnu) echo gcc-mingw-w64-x86-64-posix nasm wine64 wixl msitools strace iproute2 ;;
    i686-*-windows-gnu)   echo gcc-mingw-w64-i686-posix nasm ;;
    *) say "nothing is known about $1"; exit 2 ;;
  esac
}

apt_ready() { # fresh package lists, once, when there are none
  [[ -n $(apt-cache policy rustc-web 2>/dev/null | grep -E 'Candidate: [0-9]') ]] || apt-get update -qq
}

need_packages() {
  local p missing=()
  for p in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || missing+=("$p")
  done
  (( ${#missing[@]} )) || return 0
  say "installing ${missing[*]}"
  apt_ready
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$RUST_CROSS_HOME/apt.log" 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$RUST_CROSS_HOME/apt.log" 2>&1; } ||
    { tail -20 "$RUST_CROSS_HOME/apt.log" >&2; exit 1; }
}

field() { apt-cache show --no-all-versions "$1=$2" | sed -n "s/^$3: //p"; }

fetch_toolchain() {
  [[ -e $RUST_CROSS_HOME/.toolchain ]] && return 0
  apt-get update -qq # once per machine: an old list names versions that are gone
  local version std llvm f
  version=${RUST_CROSS_VERSION:-$(apt-cache policy rustc-web | sed -n 's/^ *Candidate: //p')}
  std=$(field libstd-rust-web-dev "$version" Depends | grep -oE 'libstd-rust-web-[0-9.]+' | head -1)
  llvm=$(field "$std" "$version" Depends | grep -oE 'libllvm[0-9]+' | head -1)
  # shared libraries of the compiler and of cargo: ordinary packages
  # shellcheck disable=SC2046 # one word a package
  need_packages "$llvm" $(field cargo-web "$version" Depends | grep -oE '\blib[a-z0-9.+-]+')
  say "fetching rustc-web $version"
  rm -rf "$RUST_CROSS_HOME/debs" "$RUST_CROSS_HOME/root"
  mkdir -p "$RUST_CROSS_HOME/debs" "$RUST_CROSS_HOME/root" "$cross_bin"
  (cd "$RUST_CROSS_HOME/debs" && apt-get -qq -o APT::Sandbox::User=root download \
    {rustc-web,cargo-web,rust-web-clippy,libstd-rust-web-dev,"$std",rust-web-src}="$version")
  for f in "$RUST_CROSS_HOME"/debs/*.deb; do
    case ${f##*/} in
      rust-web-src_*) dpkg --fsys-tarfile "$f" | tar -x -C "$RUST_CROSS_HOME/root" --wildcards './usr/src/rustc-*/library' ;;
      *) dpkg -x "$f" "$RUST_CROSS_HOME/root" ;;
    esac
  done
  rm -rf "$RUST_CROSS_HOME/debs"
  # the compiler's own library is not on the loader's path
  for f in rustc rustdoc cargo clippy-driver cargo-clippy; do
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %s "$@"\n' \
      "$cross_usr/lib/x86_64-linux-gnu" "$cross_usr/bin/$f" >"$cross_bin/$f"
    chmod +x "$cross_bin/$f"
  done
  echo "$version" >"$RUST_CROSS_HOME/.toolchain"
}

# std for one target, built as rustc's own build does it: profile "dist", versions of the crates
# from the source's Cargo.lock
build_std() {
  local target=$1 lib=$cross_usr/lib/rustlib/$1/lib work=$RUST_CROSS_HOME/build src
  if [[ -e $lib/.built ]]; then return 0; fi
  say "building std for $target"
  src=$(echo "$cross_usr"/src/rustc-*/library)
  rm -rf "$work" "$lib"; mkdir -p "$work" "$lib"
  cp -r "$src" "$work/library"
  sed -i 's/^crate-type = \["dylib", "rlib"\]/crate-type = ["rlib"]/' "$work/library/std/Cargo.toml"
  (
    cross_target_env "$target"
    cd "$work/library"
    unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTUP_TOOLCHAIN
    export PATH=$cross_bin:$PATH RUSTC=$cross_bin/rustc RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=stablestd
    export CARGO_TARGET_DIR=$work/target CARGO_PROFILE_DIST_DEBUG=line-tables-only
    # no path of this machine ends up in the programs
    export RUSTFLAGS="-Zforce-unstable-if-unmarked --remap-path-prefix=$work/library=/rust/library"
    RUSTFLAGS+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/rust/deps"
    "$cross_bin/cargo" build --quiet --locked --profile dist --manifest-path sysroot/Cargo.toml \
      --target "$target" --features panic-unwind,backtrace
  )
  cp "$work/target/$target/dist/deps/"*.rlib "$lib/"
  rm -rf "$work"
  if [[ $target == *-linux-musl ]]; then musl_objects "$lib/self-contained"; fi
  touch "$lib/.built"
}

# start files, libc and unwinder where rustup's musl target has them too
musl_objects() {
  local dir=$1 libc=/usr/lib/x86_64-linux-musl gcc tmp
  gcc=$(dirname "$(gcc -print-libgcc-file-name)")
  tmp=$(mktemp -d)
  mkdir -p "$dir"
  cp "$libc"/{crt1.o,Scrt1.o,rcrt1.o,crti.o,crtn.o,libc.a} "$gcc"/{crtbegin.o,crtbeginS.o,crtend.o,crtendS.o} "$dir/"
  musl-gcc -O2 -fPIC -c "$cross_here/shim/musl_unwind.c" -o "$tmp/musl_unwind.o"
  (cd "$tmp" && ar x "$gcc/libgcc_eh.a" && ar rcs "$dir/libunwind.a" ./*.o)
  rm -rf "$tmp"
}

# Wine 8.0 lacks a DLL that Rust's std needs for Windows 10; wine-run puts it into new prefixes
wine_shim() {
  local dll=$RUST_CROSS_HOME/wine/bcryptprimitives.dll
  [[ -e $dll ]] && return 0
  mkdir -p "${dll%/*}"
  x86_64-w64-mingw32-gcc-posix -O2 -s -shared -nostartfiles -Wl,-e,0 -o "$dll" "$cross_here/shim/bcryptprimitives.c" -ladvapi32
}

# a program with a thread, a socket, a random hash seed and a caught panic, compiled and run
check_target() {
  local target=$1 tmp out linker runner
  tmp=$(mktemp -d)
  cat >"$tmp/check.rs" <<'R'
fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let m: std::collections::HashMap<_, _> = [(1, std::env::consts::OS)].into();
    let t = std::thread::spawn(|| std::net::TcpListener::bind("127.0.0.1:0").is_ok());
    let caught = std::panic::catch_unwind(|| panic!("x")).is_err();
    println!("ok {} {} {}", m[&1], t.join().unwrap(), caught);
}
R
  cross_target_env "$target"
  linker=${target^^}; linker=CARGO_TARGET_${linker//-/_}_LINKER; runner=${linker%_LINKER}_RUNNER
  "$cross_bin/rustc" --edition 2024 -O --target "$target" -C linker="${!linker:-cc}" -o "$tmp/check.exe" "$tmp/check.rs"
  # Debian's Wine runs no 32-bit program: that it links has to be enough
  if [[ $target == i686-* ]]; then rm -rf "$tmp"; say "$target: compiled, not run"; return 0; fi
  out=$(RUST_BACKTRACE=0 timeout 300 ${!runner:-} "$tmp/check.exe") || true
  rm -rf "$tmp"
  if [[ $out == "ok "*" true true"* ]]; then say "$target: $out"; else say "$target: check failed: $out"; exit 1; fi
}

packages_only=
if [[ ${1:-} = --packages ]]; then packages_only=1; shift; fi
(( $# )) || { echo "usage: setup-cross.sh [--packages] TARGET..." >&2; exit 2; }
mkdir -p "$RUST_CROSS_HOME"
exec 8>"$RUST_CROSS_HOME/.lock"; flock 8 # one setup at a time
for target in "$@"; do
  # shellcheck disable=SC2046 # one word a package
  need_packages $(system_packages "$target")
  if [[ $target == x86_64-*-windows-gnu ]]; then wine_shim; fi
  if [[ -n $packages_only ]]; then continue; fi
  fetch_toolchain
  fresh=; [[ -e $cross_usr/lib/rustlib/$target/lib/.built ]] || fresh=1
  build_std "$target"
  if [[ -n $fresh ]]; then check_target "$target" 8>&-; fi
done
