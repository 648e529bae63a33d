#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/arm64.sh [PART...]
#
# Runs parts of scripts/test in a Debian 13 for arm64: the build for Debian's nginx, all tests/*.t in it, the unit tests and the
# package, or those that are named. On another machine than an arm64, qemu runs the programs of that Debian, which takes hours. What
# is tested is what is committed. The tree (build/arm64) is removed if they pass.

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
        # Optimizing the module as it is released takes an emulated compiler longer than all the rest.
        CLIENTS+="export TEST_NGINX_PATIENCE=10 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16; "
    fi
    make_tree
    inside root "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y rustc cargo git" >>"$TREE.log" 2>&1 ||
        die "Rust could not be installed: see $TREE.log"
    clone root
    inside root "cd ngx-http-cors && scripts/test ${parts[*]}"
    as_root rm -rf "$TREE"
    printf 'On arm64: passed\n'
}

# Where nothing has mounted it: binfmt_misc, by which Linux finds the interpreter of a program.
emulate() {
    [[ -e /proc/sys/fs/binfmt_misc/register ]] || as_root mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc ||
        die "this kernel has no binfmt_misc, and so runs no programs for arm64"
    as_root update-binfmts --enable qemu-aarch64 || die "qemu-aarch64 could not be registered: see the message above"
}

main "$@"
