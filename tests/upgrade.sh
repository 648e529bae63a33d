#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/upgrade.sh
#
# Upgrades while nginx serves, in a Debian of its own (build/upgrade) of this machine's release: a new version of the package, and a
# security release of nginx. No request may fail, and what runs afterwards is the new code. What nginx does with a module whose file
# is replaced behind its back is in tests/reliability/reloads.py.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=tree.sh
source "$ROOT/tests/tree.sh"

# shellcheck disable=SC2034  # tree.sh reads it
SUITE=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
TREE=$BUILD/upgrade

main() {
    local package
    is_debian || die "this needs a Debian"
    need fakeroot
    package=$("$ROOT/scripts/package" | tail -n 1)
    make_tree
    as_root cp "$package" "$TREE/root/old.deb"
    newer "$package" "$BUILD/upgrade.deb"
    as_root mv "$BUILD/upgrade.deb" "$TREE/root/new.deb"
    as_root cp "$ROOT/tests/upgrade-inside.sh" "$TREE/root/"
    apt-get indextargets --format "deb \$(REPO_URI) \$(CODENAME) main" 'Created-By: Packages' 'Label: Debian-Security' |
        sort --unique | as_root tee "$TREE/etc/apt/sources.list.d/security.list" >/dev/null
    inside root "bash /root/upgrade-inside.sh"
    as_root rm -rf "$TREE"
}

# newer PACKAGE FILE: the same package with a later version.
newer() {
    local unpacked=$BUILD/package/newer
    rm -rf "$unpacked"
    dpkg-deb --raw-extract "$1" "$unpacked"
    sed -i 's/^Version: .*/&.1/' "$unpacked/DEBIAN/control"
    fakeroot dpkg-deb --build "$unpacked" "$2" >/dev/null
}

main
