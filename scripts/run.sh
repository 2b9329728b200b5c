#!/bin/bash
# run.sh -- what `make run` does: installs what is missing, builds, starts the
# server and the sandbox on loopback, and prints a login to paste.
#
# Both stay in the foreground and log to this terminal; Ctrl-C or TERM stops
# both.  Where one ends by itself the other is stopped, and the status is 1.

set -u
cd "$(dirname "$0")/.." || exit 1
conf=scripts/latchkey.conf
sandbox_conf=scripts/sandbox/sandbox.conf
pids=()

die() {
    echo "run: $*" >&2
    exit 1
}

# The ports that a configuration listens on, in its order.
ports() {
    sed -n 's/^ *listen  *127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1"
}

# Does anyone answer at this port?
taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Is GET http://127.0.0.1:$1$2 answered with 200?
healthy() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
        printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
        read -r -t 2 _ status _ <&3
        [ "$status" = 200 ]
    ) 2>/dev/null
}

stop() {
    trap '' INT TERM
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
}

running() {
    kill -0 "$1" 2>/dev/null
}

# Waits until it answers; what it says of a failed start is on the terminal.
await() { # pid port path what
    local tries=300
    until healthy "$2" "$3"; do
        if ! running "$1" || [ $((tries -= 1)) = 0 ]; then
            stop
            die "the $4 does not start"
        fi
        sleep 0.1
    done
}

# A login of demo-wechat: each line stands alone, and uses what the lines
# before it found.
print_steps() {
    local policy=scripts/apps/demo-wechat.lua appid phone api bearer
    appid=$(sed -n 's/^ *appid *= *"\(.*\)".*/\1/p' $policy)
    phone=http://127.0.0.1:$sandbox_port/sandbox/wechat/$appid
    api=http://127.0.0.1:$port/v1/demo-wechat
    # shellcheck disable=SC2016 # for the reader's shell
    bearer='-H "Authorization: Bearer $TOKEN"'
    cat <<END

latchkey is ready: the API is on port $port; on $sandbox_port the sandbox
plays WeChat and Douyin.  To play with two phones, and to break it:
    http://127.0.0.1:$sandbox_port/playground
For operators: http://127.0.0.1:$admin_port/ (the token is in var/admin.token).
A login, step by step; paste these into another terminal:

CODE=\$(curl -s $phone/login -d '{"user":"alice"}' | sed 's/.*"code":"\\([^"]*\\)".*/\\1/')
LOGIN=\$(curl -s $api/login -d "{\\"code\\":\\"\$CODE\\"}"); echo "\$LOGIN"
TOKEN=\$(echo "\$LOGIN" | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
POPUP=\$(curl -s $phone/phone -d '{"user":"alice"}')
DATA=\$(echo "\$POPUP" | sed 's/.*"encryptedData":"\\([^"]*\\)".*/\\1/')
IV=\$(echo "\$POPUP" | sed 's/.*"iv":"\\([^"]*\\)".*/\\1/')
curl -s $api/phone $bearer -d "{\\"encryptedData\\":\\"\$DATA\\",\\"iv\\":\\"\$IV\\"}"; echo
curl -s $api/session $bearer; echo
curl -s -X DELETE $api/session $bearer; echo

Ctrl-C stops it.
END
}

{ read -r port && read -r admin_port; } < <(ports $conf) ||
    die "$conf: no two listen 127.0.0.1:PORT"
read -r sandbox_port < <(ports $sandbox_conf) ||
    die "$sandbox_conf: no listen 127.0.0.1:PORT"

tests/packages run || exit 1
# a make of its own, not a part of the one that called
env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make || exit 1

for one in "$port" "$admin_port" "$sandbox_port"; do
    ! taken "$one" || die "port $one is taken: stop what listens there"
done
{ mkdir -p var && [ -w var ]; } 2>/dev/null ||
    die "$PWD/var cannot be written: give it to $(id -un)"

trap 'stop; exit 0' INT TERM
build/latchkey -p . -c $sandbox_conf &
pids+=($!)
await $! "$sandbox_port" /sandbox/settings sandbox
build/latchkey -p . -c $conf &
pids+=($!)
await $! "$admin_port" /healthz server
print_steps

wait -n
for pid in "${pids[@]}"; do
    running "$pid" || echo "run: process $pid has ended by itself" >&2
done
stop
exit 1
