#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/release.sh
#
# What scripts/build --release gives away: nothing but the module, and the same bytes wherever it is built.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

passed=0 failed=0

check() {
    if [[ $2 == "$3" ]]; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        printf 'not ok - %s\n  expected: %s\n  got: %s\n' "$1" "$3" "$2"
    fi
}

main() {
    local module again path paths=()
    need binutils
    unset NGINX_SOURCE_DIR NGINX_BUILD_DIR
    module=$("$ROOT/scripts/build" --release | tail -n 1)

    check "it exports nginx's three tables and its two modules" \
        "$(nm -D --defined-only "$module" | awk '{print $3}' | LC_ALL=C sort | tr '\n' ' ')" \
        "ngx_http_cors_first_module ngx_http_cors_module ngx_module_names ngx_module_order ngx_modules "
    check "its list of packages names the module, and those that it is made of" \
        "$(grep -oE '"name": "(ngx-http-cors|cors-policy|psl|regex-automata)"' "${module%.so}.cdx.json" | sort -u | wc -l)" 4
    check "it is stripped" "$(readelf -S --wide "$module" | grep -cE '\.symtab|\.debug' || true)" 0
    # A distribution's compiler is in /usr on every machine, and its standard library names files there (/usr/lib/debug, and its
    # own source, which Debian calls /usr/src/rustc-1.85.1): the module has these from the library, whatever the flags.
    for path in "$ROOT" "${CARGO_HOME:-$HOME/.cargo}" "$HOME" "$(rustc --print sysroot)"; do
        [[ $path == /usr ]] || paths+=(-e "$path/")
    done
    check "it holds no path of the machine" "$(strings -n 4 "$module" | grep -cF "${paths[@]}" || true)" 0
    command_cargo build
    check "there is the command" "$([[ -x $COMMAND ]] && echo yes)" yes
    check "nor does the command" "$(strings -n 4 "$COMMAND" | grep -cF "${paths[@]}" || true)" 0
    check "which is stripped" "$(readelf -S --wide "$COMMAND" | grep -cE '\.symtab|\.debug' || true)" 0
    check "it has no switch for faults" "$(strings "$module" | grep -c NGX_HTTP_CORS_FAULT || true)" 0

    # It shares the compiler and the downloads with the first one, and lies below `build` to be out of git's sight.
    again=$BUILD/release-in-another-place
    rm -rf "$again"
    mkdir -p "$again/build"
    ln -s "$BUILD/cargo-tools" "$again/build/cargo-tools"
    (cd "$ROOT" && cp -r Cargo.toml Cargo.lock build.rs src policy cli scripts "$again")
    check "a build in another place is the same, byte for byte" \
        "$(cmp "$module" "$("$again/scripts/build" --release | tail -n 1)" 2>&1)" ""
    rm -rf "$again"

    printf '%s passed, %s failed\n' "$passed" "$failed"
    ((failed == 0))
}

main
