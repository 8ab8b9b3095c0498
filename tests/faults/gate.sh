#!/bin/sh
# Stands before every command that drctl asks of this host (sshd's ForceCommand): counts them, and at
# the chosen one lets the test strike before it, amid what is sent to it, or after its effect but before its answer.
#
# /srv/gate/at holds `NUMBER before|torn|after hold|cut|fill`; hold: the test strikes, then makes `go`.
gate=/srv/gate
exec 3>>"$gate/lock"
flock 3
n=$(($(cat "$gate/count") + 1))
{ echo "$n" >"$gate/count"; } 2>/dev/null
exec 3>&-
at='' when='' how=''
if [ -e "$gate/at" ]; then read -r at when how <"$gate/at"; fi
run() { "${SHELL:-/bin/sh}" -c "$SSH_ORIGINAL_COMMAND"; }
if [ "$n" != "$at" ]; then exec "${SHELL:-/bin/sh}" -c "$SSH_ORIGINAL_COMMAND"; fi
status=255
case $when in
torn)
    # The script whole, of a payload behind it the first bytes only.
    script=${SSH_ORIGINAL_COMMAND#*head -c }
    head -c $((${script%%)*} + 40)) | run >"$gate/out" 2>"$gate/err"
    status=$?
    ;;
after)
    run >"$gate/out" 2>"$gate/err"
    status=$?
    ;;
esac
case $how in
hold)
    echo "$n" >"$gate/reached"
    while [ ! -e "$gate/go" ]; do sleep 0.02; done
    ;;
cut)
    echo "$n" >"$gate/reached"
    kill -KILL "$PPID"
    exit
    ;;
fill)
    rm -f "$gate/at"
    # To the last byte: the file system gives out what is left in ever smaller pieces.
    cat /dev/zero >"$gate/fill" 2>/dev/null
    dd if=/dev/zero of="$gate/fill" bs=1 oflag=append conv=notrunc count=8192 2>/dev/null
    echo "$n" >"$gate/reached"
    run
    exit
    ;;
esac
[ "$when" != before ] || exit 255
cat "$gate/err" >&2
cat "$gate/out"
exit "$status"
