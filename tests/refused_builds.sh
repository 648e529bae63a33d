#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What scripts/build says to trees and machines that it cannot build with: one line, which says what to do. An old compiler is in
# tests/rust_version.py.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

TREE=$BUILD/refused
passed=0 failed=0

# tree NAME VERSION NUMBER: a tree that looks configured.
tree() {
    rm -rf "$TREE"
    mkdir -p "$TREE"/{src/core,objs}
    printf '#define nginx_version %s\n#define NGINX_VERSION "%s"\n#define NGINX_VER "%s/" NGINX_VERSION\n' "$3" "$2" "$1" \
        >"$TREE/src/core/nginx.h"
    touch "$TREE/objs/ngx_auto_config.h" "$TREE/objs/Makefile"
    echo '    &ngx_http_module,' >"$TREE/objs/ngx_modules.c"
}

# refuses WHAT SAID TO_DO COMMAND...
refuses() {
    local what=$1 said=$2 to_do=$3 output code=0
    shift 3
    output=$(NGINX_SOURCE_DIR=$TREE NGINX_BUILD_DIR=$TREE/objs "$@" 2>&1) || code=$?
    if ((code)) && [[ $output != *$'\n'* && $output == *"$said"*"$to_do"* ]]; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        printf 'not ok - %s (exit code %s): %s\n' "$what" "$code" "$output"
    fi
}

main() {
    local build=$ROOT/scripts/build
    tree nginx 1.28.3 1028003
    refuses "two options" "unknown option --foo" "scripts/package --help" "$ROOT/scripts/package" --nginx-org --foo
    refuses "an unknown option" "unknown option --vendor" "scripts/build --help" "$build" --vendor
    refuses "no libclang" "libclang is missing" "install libclang-dev" env LIBCLANG_PATH=/nonexistent "$build"
    rm "$TREE/objs/Makefile"
    refuses "a tree that is not configured" "is not configured" "run ./configure --with-compat" "$build"
    tree nginx 1.28.3 1028003
    rm "$TREE/src/core/nginx.h"
    refuses "a tree without source" "src/core/nginx.h is missing" "set NGINX_SOURCE_DIR" "$build"
    refuses "none for a package of nginx.org" "src/core/nginx.h is missing" "set NGINX_SOURCE_DIR" "$build" --nginx-org
    tree nginx 1.28.3 1028003
    rm "$TREE/objs/ngx_modules.c"
    refuses "a tree that is half configured" "is not configured" "run ./configure --with-compat" "$build"
    tree nginx 1.28.3 1028003
    refuses "a tree without configure" "no configure in $TREE" "set NGINX_SOURCE_DIR" "$build" --nginx-org
    cd "$BUILD"
    refuses "a relative path to one" "no configure in $TREE" "set NGINX_SOURCE_DIR" \
        env NGINX_SOURCE_DIR="${TREE##*/}" "$build" --nginx-org
    cd "$ROOT"
    tree nginx 1.20.2 1020002
    refuses "an old nginx" "nginx 1.20.2 in $TREE is too old: 1.22.0 or newer is needed" "set NGINX_SOURCE_DIR" "$build"
    tree nginx 1.28.3 1028003
    printf '#!/bin/sh\necho "nginx version: nginx/1.26.3" >&2\n' >"$TREE/objs/nginx"
    chmod +x "$TREE/objs/nginx"
    refuses "another nginx's headers" "$TREE/objs/nginx is nginx 1.26.3, but $TREE has the headers of nginx 1.28.3" "run make there" "$build"
    tree nginx 1.28.3 1028003
    echo '#define NGX_WIN32 1' >"$TREE/objs/ngx_auto_config.h"
    refuses "a tree for Windows" "is configured for Windows" "set NGINX_SOURCE_DIR" "$build"
    tree nginx 1.28.3 1028003
    : >"$TREE/objs/ngx_modules.c"
    refuses "a tree without http" "is configured without http" "set NGINX_SOURCE_DIR" "$build"
    # As on a machine that has never heard of a package nginx.
    mkdir -p "$TREE/dpkg"
    : >"$TREE/dpkg/status"
    export DPKG_ADMINDIR=$TREE/dpkg
    if nginx_org_version; then
        passed=$((passed + 1))
        echo "ok - no nginx at all"
    else
        failed=$((failed + 1))
        echo "not ok - no nginx at all: nginx_org_version fails"
    fi
    rm -rf "$TREE"
    printf '%s passed, %s failed\n' "$passed" "$failed"
    ((failed == 0))
}

main
