# SPDX-License-Identifier: Apache-2.0
# A Debian of its own for a test: made by debootstrap in $TREE, of the release $SUITE and, if it is another than this machine's, the
# architecture $ARCH. What runs there shares the network with this machine.
#
# shellcheck shell=bash
# shellcheck source=../scripts/common.sh

# The variables that tell clients of registries about certificates, proxies and mirrors.
VARIABLES='_proxy$|ca_?bundle|ca_?certs|ssl_cert|^pip_(cert|extra|index|proxy|trusted)|^npm_config_|^cargo_(http|net|regist|source)'
# Commands that set those that this machine has.
CLIENTS=

# make_tree: a minimal Debian $SUITE in $TREE, which reaches the registries as this machine does.
make_tree() {
    local mirror codename
    need debootstrap
    have debootstrap || die "debootstrap is missing: install it"
    # Another system than Debian has no mirror of it, and debootstrap then takes its own.
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" 2>/dev/null |
        sed -n 1p) || true
    say "Making a Debian $SUITE in $TREE"
    mkdir -p "$BUILD"
    as_root rm -rf "$TREE"
    as_root debootstrap --variant=minbase --include=ca-certificates ${ARCH:+"--arch=$ARCH"} \
        "$SUITE" "$TREE" ${mirror:+"$mirror"} >"$TREE.log" 2>&1 ||
        die "debootstrap failed: see $TREE.log"
    configure_clients
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
