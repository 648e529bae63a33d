#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nginx's own build: --add-dynamic-module and --add-module, on the vendored source, and whether what comes of it answers. The
# first is configured as nginx.org's packages are, and also loads what is in the package for them. The second is of a source whose
# requests are laid out as in nginx 1.29.3 and later, where bindgen is wrong about bit-fields. For an nginx with as little in it as
# configure allows, the module compiles.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

# One file for each thing that depends on the place among the filters and the phases.
TESTS=("$ROOT"/tests/{override,preflight_phases,vary}.t)

main() {
    local way tree module package
    need_compilers
    unset NGINX_SOURCE_DIR NGINX_BUILD_DIR
    # It unpacks the source.
    module=$("$ROOT/scripts/build" --vendored | tail -n 1)
    say "The source is that of $(basename "$(dirname "$module")")"
    # With the same flags, most of what cargo has compiled for the module serves here.
    CARGO_ENCODED_RUSTFLAGS=$(remap_flags)
    export CARGO_ENCODED_RUSTFLAGS
    begin_with_another "$BUILD/nginx-build/cargo"
    for way in dynamic static; do
        tree=$BUILD/nginx-build/$way
        rm -rf "$tree"
        mkdir -p "$tree/objs"
        cp -RL "$BUILD/trees/vendored/src/." "$tree/"
        # Cargo would find that file in the tree, which belongs to the crate.
        rm -f "$tree/Makefile"
        if [[ $way == static ]]; then
            two_bytes "$tree/src/http/ngx_http_request.h"
        fi
        # What cargo compiles for itself is the same both ways.
        ln -s "$BUILD/nginx-build/cargo" "$tree/objs/ngx_http_cors_module"
        build "$way" "$tree"
        if [[ $way == dynamic ]]; then
            TEST_NGINX_GLOBALS="load_module $tree/objs/ngx_http_cors_module.so;" \
                TEST_NGINX_BINARY=$tree/objs/nginx prove "${TESTS[@]}"
            package=$("$ROOT/scripts/package" --nginx-org | tail -n 1)
            [[ $(dpkg-deb --field "$package" Depends) == *"nginx-r$("$tree/objs/nginx" -v 2>&1 | sed 's|.*/||')"* ]] ||
                die "$package does not depend on this release of nginx"
            dpkg-deb --extract "$package" "$tree/package"
            TEST_NGINX_GLOBALS="load_module $tree/package/usr/lib/nginx/modules/ngx_http_cors_module.so;" \
                TEST_NGINX_BINARY=$tree/objs/nginx prove "${TESTS[@]}"
        else
            TEST_NGINX_BINARY=$tree/objs/nginx prove "${TESTS[@]}"
        fi
    done
    smallest
}

# Without PCRE, zlib, OpenSSL and what needs them.
smallest() {
    local tree=$BUILD/nginx-build/smallest
    rm -rf "$tree"
    mkdir -p "$tree"
    cp -RL "$BUILD/trees/vendored/src/." "$tree/"
    say "Compiling the module for an nginx without PCRE"
    (cd "$tree" && auto/configure --without-pcre --without-http_rewrite_module --without-http_gzip_module \
        --without-http-cache --without-http_upstream_zone_module) >"$tree/build.log" 2>&1 || die "nginx's configure failed: see $tree/build.log"
    NGINX_SOURCE_DIR=$tree NGINX_BUILD_DIR=$tree/objs cargo check --quiet --release --no-default-features --package ngx-http-cors \
        --target-dir "$ROOT/target/lints"
}

# Puts two bytes in front of the bit-fields where there are none yet.
two_bytes() {
    grep -qE '^    in_port_t ' "$1" || sed -i 's/^    unsigned  *count:16;/    in_port_t port;\n&/' "$1"
    grep -qE '^    in_port_t ' "$1" || die "there is no count:16 in $1 before which two bytes could be"
}

build() {
    local option=--add-module log=$2/build.log options=(--with-compat --with-http_auth_request_module)
    if [[ $1 == dynamic ]]; then
        option=--add-dynamic-module
        mapfile -t options < <(sed '/^#/d' "$ROOT/scripts/nginx-org/options")
    fi
    say "Building nginx with $option"
    (
        cd "$2"
        # It answers a few hundred requests: compiling it is what takes the time.
        auto/configure "${options[@]}" --with-cc-opt=-O0 "$option=$ROOT"
        make -j"$(nproc)"
    ) >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        die "nginx's build failed: see $log"
    }
}

main
