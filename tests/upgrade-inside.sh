#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What tests/upgrade.sh runs in its Debian, as root, beside old.deb and new.deb.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export DEBIAN_FRONTEND=noninteractive

ADDRESS=http://127.0.0.1:18971
passed=0 failed=0

check() {
    local what=$1
    shift
    if "$@" >>log 2>&1; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        echo "not ok - $what: $*"
    fi
}

# What clients ask, one request after another, until the file "stop" appears; an answer that is not right is a line in "wrong".
ask() {
    local count=0
    while [[ ! -e stop ]]; do
        curl -s --max-time 5 -D - -o /dev/null -H 'Origin: https://app.example.com' "$ADDRESS/" |
            grep -qi '^access-control-allow-origin: https://app.example.com' || echo "request $count" >>wrong
        count=$((count + 1))
    done
    echo "$count" >asked
}

# Whether all that runs of nginx has the files that are installed. A file that was replaced is "(deleted)".
is_new() {
    local i
    for ((i = 0; i < 100; i++)); do
        ! grep -qsE '(/ngx_http_cors_module\.so|/sbin/nginx) \(deleted\)' /proc/[0-9]*/maps && return 0
        sleep 0.2
    done
    return 1
}

is_running() {
    grep -qs ngx_http_cors_module.so "/proc/$(cat /run/nginx.pid)/maps"
}

# version PACKAGE: what is installed of it.
version() {
    dpkg-query -W -f='${Version}' "$1"
}

has_version() {
    [[ $(version "$1") == "$2" ]]
}

apt-get update -qq
# The oldest nginx that there is: that of the release, before its security releases.
apt-get install -qq -y --no-install-recommends curl apt-utils >>log 2>&1
oldest=$(apt-cache madison nginx | awk '{print $3}' | sort --version-sort | head -n 1)
newest=$(apt-cache madison nginx | awk '{print $3}' | sort --version-sort | tail -n 1)
apt-get install -qq -y --no-install-recommends "nginx=$oldest" "nginx-common=$oldest" >>log 2>&1
# There is no init here, and Debian's scripts then do nothing without a policy.
printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d

rm -f /etc/nginx/sites-enabled/default
apt-get install -qq -y --no-install-recommends ./old.deb >>log 2>&1
cat >/etc/nginx/conf.d/site.conf <<EOF
server {
    listen 127.0.0.1:18971;
    cors_allow_origin https://app.example.com;
    location / { return 200 "hello"; }
}
EOF
invoke-rc.d nginx start >>log 2>&1
check "nginx $oldest runs the module" is_running
ask &

old=$(cat /run/nginx.pid)
check "a new version of the package" apt-get install -qq -y ./new.deb
check "nginx runs it" is_new
check "as a new binary" test "$(cat /run/nginx.pid)" != "$old"
old=$(version libnginx-mod-http-cors)

if [[ $newest != "$oldest" ]]; then
    check "a security release of nginx" apt-get install -qq -y --no-install-recommends nginx
    check "it is nginx $newest" has_version nginx "$newest"
    check "the package stays" has_version libnginx-mod-http-cors "$old"
    check "nginx runs both" is_new
    check "with the module" is_running
else
    echo "# there is one version of nginx here: no security release to install"
fi

echo "server { unknown; }" >/etc/nginx/conf.d/broken.conf
old=$(cat /run/nginx.pid)
check "a reinstallation beside a broken configuration" apt-get install -qq -y --reinstall ./new.deb
check "nginx is left as it is" test "$(cat /run/nginx.pid)" = "$old"
check "and apt's output says so" grep -q "still runs the old module" log

touch stop
wait
rm /etc/nginx/conf.d/broken.conf
check "no request failed" test ! -e wrong
check "there were some: $(cat asked)" test "$(cat asked)" -gt 20
invoke-rc.d nginx stop >>log 2>&1 || true

printf '%s passed, %s failed\n' "$passed" "$failed"
((failed == 0)) || { tail -n 60 log && exit 1; }
