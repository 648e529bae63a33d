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

SUITE=trixie
TREE=$BUILD/oldest-rust
# The variables that tell clients of registries about certificates, proxies and mirrors.
VARIABLES='_proxy$|ca_?bundle|ca_?certs|ssl_cert|^pip_(cert|extra|index|proxy|trusted)|^npm_config_|^cargo_(http|net|regist|source)'
# Commands that set those that this machine has.
CLIENTS=

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
        configure_clients
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

make_tree() {
    local mirror codename
    need debootstrap
    have debootstrap || die "debootstrap is missing: install it, or run this with Rust $(oldest_rust)"
    # Another system than Debian has no mirror of it, and debootstrap then takes its own.
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" 2>/dev/null |
        sed -n 1p) || true
    say "Making a Debian $SUITE in $TREE"
    mkdir -p "$BUILD"
    as_root rm -rf "$TREE"
    as_root debootstrap --variant=minbase --include=ca-certificates "$SUITE" "$TREE" ${mirror:+"$mirror"} >"$TREE.log" 2>&1 ||
        die "debootstrap failed: see $TREE.log"
}

# How this machine reaches the registries: name servers, certificates, proxies and mirrors.
configure_clients() {
    local file home
    for file in /etc/resolv.conf /etc/hosts /usr/local/share/ca-certificates /etc/pip.conf /etc/npmrc; do
        [[ ! -e $file ]] || as_root cp -rL --parents "$file" "$TREE"
    done
    apt-config dump | grep -E '^Acquire::(https?|Check)' | as_root tee "$TREE/etc/apt/apt.conf.d/00machine" >/dev/null || true
    # What is in skel, a new user has.
    for file in .cargo/config.toml .config/pip/pip.conf .npmrc; do
        [[ -e $HOME/$file ]] || continue
        for home in root etc/skel; do
            as_root install -D -m 644 "$HOME/$file" "$TREE/$home/$file"
        done
    done
    for file in $(compgen -e | grep -iE "$VARIABLES"); do
        CLIENTS+="export $file=${!file@Q}; "
    done
    inside root update-ca-certificates >/dev/null
}

install_rust() {
    inside root "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y rustc cargo git sudo" >>"$TREE.log" 2>&1 ||
        die "Rust could not be installed: see $TREE.log"
}

# clone root|user
clone() {
    local home=$TREE/home/$1
    [[ $1 != root ]] || home=$TREE/root
    rm -rf "$TREE.clone"
    git clone --quiet --no-hardlinks "$ROOT" "$TREE.clone"
    as_root mv "$TREE.clone" "$home/ngx-http-cors"
    inside root "chown -R $1: ~$1/ngx-http-cors"
}

# inside root|user COMMAND: a login shell in the tree. What it starts ends with it, and its mounts are seen nowhere else.
inside() {
    # shellcheck disable=SC2016  # the variables are the inner shell's
    as_root unshare --mount bash -euc '
        mount --rbind /dev "$0/dev"
        mount --rbind /sys "$0/sys"
        exec unshare --pid --fork --kill-child --mount-proc --root="$0" --wd=/ "$@"' \
        "$TREE" su --login "$1" -c "$CLIENTS$2"
}

main "$@"
