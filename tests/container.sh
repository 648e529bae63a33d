#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/container.sh
#
# Builds the image of Containerfile with buildah, and asks the nginx in it. No registry of images is needed: the image that it starts
# from is a Debian 13 made by debootstrap, with a package nginx that is built with nginx.org's options, says what nginx.org's says of
# itself, and has nothing else of it.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source-path=SCRIPTDIR source=tree.sh
source "$ROOT/tests/tree.sh"

# shellcheck disable=SC2034  # tree.sh reads it
SUITE=trixie
TREE=$BUILD/container
WORK=$BUILD/container-work
STORE=(--root "$WORK/store" --runroot "$WORK/run" --storage-driver vfs)
PORT=18972
passed=0 failed=0 server='' container=''

check() {
    local what=$1
    shift
    if "$@" >>"$WORK/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        echo "not ok - $what: $*"
    fi
}

# in_image COMMAND...
in_image() {
    as_root buildah "${STORE[@]}" run --isolation chroot "$container" -- "$@"
}

answer() {
    curl -s --max-time 5 --retry 20 --retry-connrefused --retry-delay 1 -D - -o /dev/null -H "Origin: $1" "http://127.0.0.1:$PORT/" |
        tr -d '\r'
}

says() {
    answer "$1" | grep -ixF "$2"
}

is_silent_to() {
    ! answer "$1" | grep -qi '^Access-Control-'
}

clean_up() {
    [[ -z $server ]] || kill "$server" || true
    [[ -z $container ]] || in_image nginx -s quit || true
    ((failed)) || as_root rm -rf "$TREE" "$WORK"
}

main() {
    local version tarballs=$WORK/tarballs
    need buildah crun curl dpkg-dev
    ! curl -s --max-time 5 -o /dev/null "http://127.0.0.1:$PORT/" || die "something listens on port $PORT already"
    as_root rm -rf "$WORK"
    mkdir -p "$tarballs" "$WORK/nginx"

    "$ROOT/scripts/build" --nginx-org >/dev/null
    version=$(source_version "$BUILD/trees/nginx-org/src")
    make -C "$BUILD/trees/nginx-org/src" -f "$BUILD/trees/nginx-org/objs/Makefile" -j "$(nproc)" build >"$WORK/make.log" 2>&1 ||
        die "nginx did not build: see $WORK/make.log"
    # As it is released, but for its documentation.
    tar -C "$BUILD/trees/nginx-org" --exclude=src/Makefile --transform "s|^src|nginx-$version|" \
        -czf "$tarballs/nginx-$version.tar.gz" src
    nginx_package "$version"
    make_tree
    as_root cp "$WORK/nginx.deb" "$TREE/root/"
    inside root "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends /root/nginx.deb" \
        >>"$WORK/log" 2>&1 || die "nginx was not installed: see $WORK/log"
    image "$version"

    python3 -m http.server --bind 127.0.0.1 --directory "$tarballs" "$((PORT + 1))" >>"$WORK/log" 2>&1 &
    server=$!
    trap clean_up EXIT
    say "Building the image"
    check "the image builds" as_root buildah "${STORE[@]}" build --isolation chroot --file "$ROOT/Containerfile" --tag nginx-cors \
        --build-arg IMAGE=localhost/nginx --build-arg "SOURCES=http://127.0.0.1:$((PORT + 1))" "$ROOT"

    container=$(as_root buildah "${STORE[@]}" from localhost/nginx-cors)
    # shellcheck disable=SC2016  # the variable is dpkg-query's
    check "its package depends on this release of nginx" \
        grep -q "nginx-r$version" <(in_image dpkg-query -W -f='${Depends}' nginx-module-http-cors)
    check "nginx -t" in_image nginx -t
    cat >"$WORK/site.conf" <<EOF
server {
    listen 127.0.0.1:$PORT;
    cors_allow_origin https://app.example.com;
    location / { return 200 "hello"; }
}
EOF
    as_root buildah "${STORE[@]}" copy "$container" "$WORK/site.conf" /etc/nginx/conf.d/site.conf >/dev/null
    check "nginx -t with a policy" in_image nginx -t
    in_image nginx -g 'daemon off;' >>"$WORK/log" 2>&1 &
    check "an allowed origin" says https://app.example.com "Access-Control-Allow-Origin: https://app.example.com"
    check "another origin gets Vary" says https://other.example "Vary: Origin"
    check "and nothing else" is_silent_to https://other.example
    check "the command" in_image cors probe "http://127.0.0.1:$PORT/" --origin https://app.example.com
    printf '%s passed, %s failed\n' "$passed" "$failed"
    ((failed == 0))
}

# nginx_package VERSION: what nginx.org's package is to other packages.
nginx_package() {
    local at=$WORK/nginx
    mkdir -p "$at"/{DEBIAN,usr/sbin,usr/lib/nginx/modules,etc/nginx/conf.d,var/log/nginx,var/cache/nginx}
    cp "$BUILD/trees/nginx-org/objs/nginx" "$at/usr/sbin/"
    ln -s /usr/lib/nginx/modules "$at/etc/nginx/modules"
    printf '%s\n' 'user nginx;' 'events {}' 'http { include conf.d/*.conf; }' >"$at/etc/nginx/nginx.conf"
    printf '%s\n' "Package: nginx" "Version: $1-1~$SUITE" "Provides: nginx-r$1" "Architecture: $(dpkg --print-architecture)" \
        "Maintainer: a test <test@localhost>" "Depends: libc6, libcrypt1, libpcre2-8-0, libssl3t64, zlib1g, passwd" \
        "Description: nginx, as nginx.org builds it" >"$at/DEBIAN/control"
    printf '%s\n' '#!/bin/sh' 'id nginx >/dev/null 2>&1 || useradd --system --no-create-home nginx' >"$at/DEBIAN/postinst"
    chmod 755 "$at/DEBIAN/postinst"
    dpkg-deb --build --root-owner-group "$at" "$WORK/nginx.deb" >/dev/null
}

# image VERSION: $TREE as an image, in which the clients of registries work as they do here.
image() {
    local base file
    base=$(as_root buildah "${STORE[@]}" from scratch)
    as_root buildah "${STORE[@]}" copy "$base" "$TREE" / >/dev/null
    for file in $(compgen -e | grep -iE "$VARIABLES"); do
        as_root buildah "${STORE[@]}" config --env "$file=${!file}" "$base"
    done
    as_root buildah "${STORE[@]}" config --env "NGINX_VERSION=$1" "$base"
    as_root buildah "${STORE[@]}" commit --rm "$base" localhost/nginx >/dev/null
}

main
