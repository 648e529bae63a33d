#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/oldest-rust.sh root|user [PART...]
#
# Runs scripts/demo and scripts/test, or the named parts of it, with the oldest Rust that the README names. What is tested is
# what is committed.
#
# Debian 13 has that Rust. On a machine with a newer one, debootstrap makes a Debian 13 in build/oldest-rust that has the packages
# rustc, cargo, git and sudo, and nothing else. The commands run there as root, or as a user who may use sudo. The tree is
# removed if they pass.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=tree.sh
source "$ROOT/tests/tree.sh"

# shellcheck disable=SC2034  # tree.sh reads it
SUITE=trixie
TREE=$BUILD/oldest-rust

main() {
    local who=${1:-} oldest found
    if [[ $who != root && $who != user ]]; then
        usage
        exit 1
    fi
    shift
    oldest=$(oldest_rust)
    found=$(rust_version) || true
    if same_release "$found" "$oldest"; then
        cd "$ROOT"
        who=$(id -un)
        scripts/demo --once
        scripts/test "$@"
    else
        make_tree
        install_rust
        found=$(inside root "$(declare -f rust_version); rust_version")
        same_release "$found" "$oldest" || die "Debian's $SUITE has Rust $found, and Cargo.toml names $oldest: name another suite in $0"
        inside root "useradd --create-home --shell /bin/bash user; echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user"
        clone "$who"
        inside "$who" "cd ngx-http-cors && scripts/demo --once </dev/null && scripts/test $*"
        as_root rm -rf "$TREE"
    fi
    printf 'With Rust %s, as %s: passed\n' "$found" "$who"
}

# same_release 1.85.1 1.85: whether the first is the second, or a patch release of it
same_release() {
    [[ $1 == "$2" || $1 == "$2".* ]]
}

install_rust() {
    inside root "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y rustc cargo git sudo" >>"$TREE.log" 2>&1 ||
        die "Rust could not be installed: see $TREE.log"
}

main "$@"
