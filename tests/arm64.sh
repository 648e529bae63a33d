#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/arm64.sh [PART...]
#
# Runs parts of scripts/test in a Debian 13 for arm64: the build for Debian's nginx, all tests/*.t in it, the unit tests and the
# package, or those that are named. On another machine than an arm64, qemu runs the programs of that Debian, except Rust's compiler,
# which is this machine's and compiles for arm64. What is tested is what is committed. The tree (build/arm64) is removed if they pass.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=tree.sh
source "$ROOT/tests/tree.sh"

# tree.sh reads them.
# shellcheck disable=SC2034
SUITE=trixie ARCH=arm64
TREE=$BUILD/arm64

main() {
    local parts=("$@")
    ((${#parts[@]})) || parts=(system prove-system package vendored unit)
    if [[ $(uname -m) != aarch64 ]]; then
        need qemu-user-static binfmt-support
        [[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]] || emulate
    fi
    make_tree
    inside root "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rustc cargo git" >>"$TREE.log" 2>&1 ||
        die "Rust could not be installed: see $TREE.log"
    [[ $(uname -m) == aarch64 ]] || cross_compile
    clone root
    inside root "cd ngx-http-cors && scripts/test ${parts[*]}"
    as_root rm -rf "$TREE"
    printf 'On arm64: passed\n'
}

# Replaces the tree's compiler, which takes sixty times as long if it is emulated, by Debian's for this machine. Debian does not install
# that beside the C compiler for arm64, so it is unpacked; the libraries that it needs are installed.
cross_compile() {
    local machine target=aarch64-unknown-linux-gnu host
    machine=$(dpkg --print-architecture)
    host=$(uname -m)
    inside root "set -e
        export DEBIAN_FRONTEND=noninteractive
        dpkg --add-architecture $machine
        apt-get update
        libraries() { apt-cache depends \$1:$machine | sed -n 's/.*Depends: \\(lib[^ :]*\\).*/\\1:$machine/p'; }
        clang=\$(apt-cache depends libclang-dev | sed -n 's/.*Depends: libclang-\\([0-9]*\\)-dev.*/libclang1-\\1/p')
        apt-get install -y --no-install-recommends gcc libc6-dev gcc-${host//_/-}-linux-gnu libc6-dev:$machine libstd-rust-dev:$machine \
            \$(libraries cargo) \$(libraries \$clang)
        cd /tmp
        for package in rustc cargo \$clang; do
            apt-get download \$package:$machine
            dpkg -x \${package}_*.deb /
        done" >>"$TREE.log" 2>&1 || die "Rust's compiler could not be replaced: see $TREE.log"
    CLIENTS+="export TEST_NGINX_PATIENCE=10 CARGO_BUILD_TARGET=$target PKG_CONFIG_ALLOW_CROSS=1 LIBCLANG_PATH=/usr/lib/$host-linux-gnu "
    CLIENTS+="CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc "
    CLIENTS+="CARGO_TARGET_${host^^}_UNKNOWN_LINUX_GNU_LINKER=$host-linux-gnu-gcc; "
}

# Where nothing has mounted it: binfmt_misc, by which Linux finds the interpreter of a program.
emulate() {
    [[ -e /proc/sys/fs/binfmt_misc/register ]] || as_root mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc ||
        die "this kernel has no binfmt_misc, and so runs no programs for arm64"
    as_root update-binfmts --enable qemu-aarch64 || die "qemu-aarch64 could not be registered: see the message above"
}

main "$@"
