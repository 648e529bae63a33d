# SPDX-License-Identifier: Apache-2.0
# What the scripts share: messages, packages, and where an nginx and its source are.
#
# shellcheck shell=bash
# shellcheck disable=SC2034  # the variables are for those who source this

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build

# nginx is in sbin, which is not on the path of an ordinary user; a fresh rustup is not on that of the running shell.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:${HOME:-/nonexistent}/.cargo/bin

SET_A_TREE="set NGINX_SOURCE_DIR and NGINX_BUILD_DIR to a configured source tree"

say() {
    printf '%s\n' "$*" >&2
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The comment at the top of a script, up to its first other line, is its help.
usage() {
    sed -n '/SPDX-/d; 2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

have() {
    command -v "$1" >/dev/null
}

is_debian() {
    have apt-get && have dpkg-query
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# packages ARGUMENT...: apt-get, one at a time, because it refuses to run beside itself. What a package starts must keep neither
# this lock nor that of scripts/build.
packages() {
    mkdir -p "$BUILD"
    (
        flock 8
        as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" </dev/null 8>&- 9>&-
    ) 8>"$BUILD/.packages"
}

# need PACKAGE...: installs those Debian packages that are missing. Elsewhere it does nothing, and the checks for what
# they hold say what to install.
need() {
    local package missing=()
    is_debian || return 0
    for package; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || have sudo || die "not installed: ${missing[*]}; as root: apt-get install ${missing[*]}"
    say "Installing ${missing[*]}"
    local install=(packages install -qq -y --no-install-recommends --no-remove "${missing[@]}")
    # A fresh machine has no package lists, an old one has lists of versions that are gone.
    "${install[@]}" >/dev/null 2>&1 && return 0
    packages update -qq >&2 || true
    "${install[@]}" >&2 || die "could not install ${missing[*]}: see apt-get's message above"
}

# unpacked PACKAGE...: where the programs of these packages of Debian are. They are unpacked, because installed they would start servers.
unpacked() {
    local at=$BUILD/unpacked package
    mkdir -p "$at"
    for package; do
        is_debian || continue
        [[ ! -e $at/$package ]] || continue
        (cd "$at" && { apt-get download -qq "$package" || { packages update -qq && apt-get download -qq "$package"; }; } >&2 &&
            dpkg -x "$package"_*.deb . && rm "$package"_*.deb && : >"$package") ||
            say "No package $package: the tests that need it are skipped"
    done
    printf '%s\n' "$at/usr/bin"
}

# The oldest Rust that compiles the module.
oldest_rust() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml"
}

# rust_version: 1.85.1
rust_version() {
    rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'
}

# Whether the compiler is rustup's. A distribution's is in /usr.
from_rustup() {
    have rustup && [[ $(rustc --print sysroot 2>/dev/null) != /usr ]]
}

# Refuses a missing or an old compiler. An old cargo would complain about the format of Cargo.lock instead.
check_rust() {
    local oldest found how
    oldest=$(oldest_rust)
    found=$(rust_version) || true
    if have cargo && [[ -n $found ]] && printf '%s\n' "$oldest" "$found" | sort -V -c 2>/dev/null; then
        return
    fi
    how="install it with rustup (https://rustup.rs), or on Debian 13 with apt-get install rustc cargo"
    ! from_rustup || how="run rustup default stable && rustup update stable"
    die "Rust $oldest or newer is needed, found ${found:-none}: $how"
}

# need_cargo fmt|clippy: installs that subcommand of cargo, which has to be of the same release as the compiler.
need_cargo() {
    local component=$1 package=rust-$1
    [[ $1 != fmt ]] || component=rustfmt package=rustfmt
    ! cargo "$1" --version >/dev/null 2>&1 || return 0
    if from_rustup; then
        say "Installing $component"
        rustup component add "$component" >&2 || die "could not install $component: see rustup's message above"
    else
        need "$package"
    fi
    cargo "$1" --version >/dev/null 2>&1 || die "cargo $1 is missing: install $component"
}

# What bindgen and the C checks need, whichever nginx it is for.
need_compilers() {
    check_rust
    need gcc libc6-dev make pkg-config libclang-dev libpcre2-dev zlib1g-dev libssl-dev
    have cc || die "a C compiler is missing: install gcc"
    have make || die "make is missing: install make"
    has_libclang || die "libclang is missing: install libclang-dev, or set LIBCLANG_PATH to the directory of libclang.so"
}

# The places where clang-sys, which bindgen loads libclang with, looks.
has_libclang() {
    local place found
    if [[ -n ${LIBCLANG_PATH:-} ]]; then
        found=$(compgen -G "$LIBCLANG_PATH/libclang*.so*" || true)
        [[ -n $found || -f $LIBCLANG_PATH ]]
        return
    fi
    if have llvm-config; then
        found=$(compgen -G "$(llvm-config --libdir)/libclang*.so*" || true)
        [[ -z $found ]] || return 0
    fi
    for place in '/usr/lib/llvm*/lib' '/usr/lib/*-linux-gnu' /usr/lib64 /usr/lib64/llvm /usr/lib /usr/local/lib \
        '/usr/local/llvm*/lib'; do
        found=$(compgen -G "$place/libclang*.so*" || true)
        [[ -z $found ]] || return 0
    done
    return 1
}

# What servers that are made of nginx's sources are called in their paths, and their packages.
SERVERS=(nginx angie freenginx openresty tengine)

# binary_version SERVER: what a binary calls itself: 1.22.1, Angie/1.13.0, freenginx/1.27.2. Tengine names nginx in a second line.
binary_version() {
    "$1" -v 2>&1 | sed -n 's|^[A-Za-z]* version: \([^ ]*\).*|\1|p' | sed '1q' | sed 's|^nginx/||'
}

# nginx_org_version: the version of the package nginx of nginx.org, if it is installed.
nginx_org_version() {
    is_debian || return 0
    dpkg-query -W -f='${db:Status-Status} ${Provides}\n' nginx 2>/dev/null | sed -nE 's/^installed .*\bnginx-r([0-9.]+).*/\1/p' ||
        true
}

# source_version SOURCE_DIR: what the binary that is made of a tree calls itself. Some put its version together in the header.
source_version() {
    local header=$1/src/core/nginx.h name=NGINX_VER
    [[ ! -f $1/src/core/angie.h ]] || header=$1/src/core/angie.h name=ANGIE_VER
    ! grep -q 'define TENGINE_VER ' "$header" || name=TENGINE_VER
    printf '#include "%s"\n%s\n' "$header" "$name" | cc -E -P - | tail -n 1 | tr -d '" ' | sed 's|^nginx/||'
}

# The flags that keep the paths of this machine out of what is compiled, as CARGO_ENCODED_RUSTFLAGS takes them. The last one that
# matches counts. The compiler may be in /usr, where the others may be too. Those of RUSTFLAGS, which cargo then ignores, come first.
# scripts/build always passes them, so that the module that is released and the one that is tested share one build.
remap_flags() {
    local flag
    # shellcheck disable=SC2086  # cargo splits them as well
    for flag in ${RUSTFLAGS:-}; do
        printf '%s\x1f' "$flag"
    done
    printf -- '--remap-path-prefix=%s=rust\x1f--remap-path-prefix=%s=cargo\x1f--remap-path-prefix=%s=.' \
        "$(rustc --print sysroot)" "${CARGO_HOME:-${HOME:-}/.cargo}" "$ROOT"
}

# Where in a target directory cargo puts what is for another machine than the compiler's.
MACHINE=${CARGO_BUILD_TARGET:+/$CARGO_BUILD_TARGET}

# begin_with_another TARGET_DIR: starts a target directory of cargo's with what another one has compiled. Crates that do not depend on
# nginx come out the same.
begin_with_another() {
    local other
    [[ ! -e $1 ]] || return 0
    for other in "$ROOT"/target/{system,vendored,nginx_org,given}/release; do
        [[ -d $other ]] || continue
        rm -rf "$1.new"
        mkdir -p "$1.new"
        # Cargo holds this lock while it writes there.
        flock "$other/.cargo-lock" cp -a "$other" "$1.new/"
        mv "$1.new" "$1"
        return
    done
}

# The command cors, as others get it.
COMMAND=$ROOT/target/command$MACHINE/command/cors

# command_cargo SUBCOMMAND ARGUMENT...: cargo for the command cors, always in the same profile and place, so that what it consists
# of is compiled once.
command_cargo() {
    need libcurl4-openssl-dev
    (cd "$ROOT" && CARGO_ENCODED_RUSTFLAGS=$(remap_flags) \
        CFLAGS="-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=cargo -ffile-prefix-map=$ROOT=." \
        cargo "$1" --profile command --package cors-cli --target-dir target/command "${@:2}") >&2
}

# cargo_tool NAME VERSION: the path of that command of cargo, which is compiled once.
cargo_tool() {
    local at=$BUILD/cargo-tools/$1-$2
    if [[ ! -x $at/bin/$1 ]]; then
        say "Installing $1 $2"
        # It runs for a second; optimizing it would take a minute.
        cargo install --quiet --locked --debug --root "$at" --version "$2" "$1" >&2 || die "could not install $1: see cargo's message above"
    fi
    printf '%s\n' "$at/bin/$1"
}

# venv NAME PACKAGE...: a Python with those packages, and nothing else, at build/venv/NAME; prints its path.
venv() {
    local python=$BUILD/venv/$1/bin/python3
    need python3-venv
    # One that has been moved starts the programs of another place.
    if ! "$python" -m pip --version >/dev/null 2>&1 || ! grep -qF "$BUILD/venv/$1/" "$BUILD/venv/$1/bin/pip"; then
        rm -rf "$BUILD/venv/$1"
        python3 -m venv "$BUILD/venv/$1" >&2 || die "could not make $BUILD/venv/$1: is python3-venv installed?"
    fi
    "$python" -m pip install --quiet --disable-pip-version-check "${@:2}" >&2 || die "could not install ${*:2} with pip"
    printf '%s\n' "$python"
}

# A Python with the only client for HTTP/3 that a registry has.
http3_python() {
    venv http3 curl_cffi
}

# bill_of_materials CRATE: the packages that it is made of, as CycloneDX has them.
bill_of_materials() {
    local tool
    tool=$(cargo_tool cargo-sbom 0.10.0)
    "$tool" --project-directory "$ROOT" --cargo-package "$1" --output-format cyclone_dx_json_1_6
}
