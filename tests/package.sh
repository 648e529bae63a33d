#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package in the nginx of this machine, as an administrator has it: installed with apt from its file, one location
# configured, nginx reloaded, asked with curl; installed again over itself; removed and purged, with nginx serving all along.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

SITE=/etc/nginx/conf.d/ngx-http-cors-package-test.conf
ADDRESS=http://127.0.0.1:18970
NAME=libnginx-mod-http-cors
passed=0 failed=0 started=

check() {
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        echo "not ok - $what: $*"
    fi
}

says() {
    curl -s --max-time 5 -D - -o /dev/null "$ADDRESS$1" -H 'Origin: https://app.example.com' | tr -d '\r' | grep -qixF "$2"
}

# A reload takes effect when its workers have started.
soon() {
    local i
    for ((i = 0; i < 50; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

install_package() {
    packages install -y --reinstall --allow-downgrades "$1"
}

upgrade() {
    local output
    output=$(install_package "$1" 2>&1) || return
    [[ $output == *"nginx still runs the old module"* ]] ||
        ! as_root bash -c 'grep -qs "ngx_http_cors_module.so (deleted)" /proc/[0-9]*/maps'
}

# lists FILE CRATE...: whether a list of what is made of the crates names them all.
lists() {
    local crate file=/usr/share/doc/$NAME/$1
    for crate in "${@:2}"; do
        { zcat -f "$file" "$file.gz" 2>/dev/null || true; } | grep -q "\"name\": \"$crate\"" || return
    done
}

site() {
    as_root tee "$SITE" >/dev/null <<EOF
server {
    listen 127.0.0.1:18970;
    location / { return 200 "hello"; }
    location /api/ { $1 return 200 "hello"; }
}
EOF
}

clean_up() {
    as_root rm -f "$SITE"
    [[ -z $started ]] || as_root nginx -s stop || true
}

main() {
    local package
    need nginx curl
    package=$("$ROOT/scripts/package" | tail -n 1)
    trap clean_up EXIT

    check "the package depends on the nginx it was built for" \
        grep -q "nginx-abi-$(binary_version "$(command -v nginx)")" <(dpkg-deb --field "$package" Depends)
    check "it installs" install_package "$package"
    check "the module is enabled as Debian's are" test -e /etc/nginx/modules-enabled/50-mod-http-cors.conf
    site "cors_allow_origin https://app.example.com;"
    check "nginx -t" as_root nginx -t
    check "the command is there" cors --version
    check "what the module is made of" lists ngx_http_cors_module.cdx.json cors-policy psl
    check "what the command is made of" lists cors.cdx.json cors-policy clap curl saphyr
    check "its manual page" test -e /usr/share/man/man1/cors.1.gz -a -e /usr/share/man/man1/cors-probe.1.gz
    check "its completions" bash -c 'source /usr/share/bash-completion/completions/cors && complete -p cors'
    if [[ ! -s /run/nginx.pid ]] || ! as_root kill -0 "$(cat /run/nginx.pid)"; then
        as_root nginx
        started=yes
    fi
    check "a reload" as_root nginx -s reload
    check "an allowed origin" soon says /api/ "Access-Control-Allow-Origin: https://app.example.com"
    check "the command, with the allowed origin" cors probe "$ADDRESS/api/" --origin https://app.example.com
    check "an upgrade, which says so if nginx still runs the old module" upgrade "$package"
    check "nginx -t after it" as_root nginx -t
    check "it serves after it" says /api/ "Access-Control-Allow-Origin: https://app.example.com"

    site ""
    check "a reload without directives" as_root nginx -s reload
    check "removal" packages remove -y "$NAME"
    check "nginx -t after it" as_root nginx -t
    check "it serves after it" soon says / "HTTP/1.1 200 OK"
    check "purge" packages purge -y "$NAME"
    check "nothing of it is left" test ! -e /etc/nginx/modules-enabled/50-mod-http-cors.conf
    check "nginx -t after that" as_root nginx -t
    check "a reload after that" as_root nginx -s reload
    check "it serves after that" soon says / "HTTP/1.1 200 OK"

    printf '%s passed, %s failed\n' "$passed" "$failed"
    ((failed == 0))
}

main
