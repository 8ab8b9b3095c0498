#!/bin/sh
# Stands before every command that drctl asks of this host (sshd's ForceCommand): counts them, and at
# the chosen one lets the test strike before it, amid what is sent to it, or after its effect but before its answer.
#
# /srv/lab is no part of the host's disk, which may be full, or lose what was not synced. `at` in it holds
# `NUMBER before|torn|late|after hold|cut|fill STRIKE`; hold: the test strikes, then makes `go.STRIKE`.
# late: it has begun and stands still; it comes to its end a while after the strike, when nobody expects it any more.
gate=/srv/lab
exec 3>>"$gate/lock"
flock 3
read -r n <"$gate/count"
n=$((n + 1))
echo "$n" >"$gate/count"
exec 3>&-
at='' when='' how='' strike=''
if [ -e "$gate/at" ]; then read -r at when how strike <"$gate/at"; fi
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
late)
    exec 4<&0
    setsid "${SHELL:-/bin/sh}" -c "$SSH_ORIGINAL_COMMAND" <&4 >"$gate/out" 2>"$gate/err" &
    late=$!
    sleep "0.0$((n % 7))"
    kill -s STOP -- "-$late" 2>/dev/null
    ;;
after)
    run >"$gate/out" 2>"$gate/err"
    status=$?
    ;;
esac
case $how in
hold)
    echo "$n" >"$gate/reached.$strike"
    while [ ! -e "$gate/go.$strike" ]; do sleep 0.02; done
    ;;
cut)
    echo "$n" >"$gate/reached.$strike"
    kill -KILL "$PPID"
    ;;
fill)
    rm -f "$gate/at"
    # To the last byte: the file system gives out what is left in ever smaller pieces.
    cat /dev/zero >/fill 2>/dev/null
    dd if=/dev/zero of=/fill bs=1 oflag=append conv=notrunc count=8192 2>/dev/null
    echo "$n" >"$gate/reached.$strike"
    run
    exit
    ;;
esac
if [ "$when" = late ]; then
    sleep 1.5
    kill -s CONT -- "-$late" 2>/dev/null
    exit
fi
[ "$when" != before ] || exit 255
cat "$gate/err" >&2
cat "$gate/out"
exit "$status"
