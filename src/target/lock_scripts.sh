# Ends the scripts of a holder that is gone and whose lock is as it was `seen`: they wait for input that never comes, or
# still copy for nobody. All of them can be broken off anywhere. Each is stopped with all that it began; what it began is
# dead before the script itself goes, and with it its hold on the lock.
# In: h, seen; uses `state`.
parent_of() {
    about=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- ${about##*) }
    echo "$1 $2"
}
tree() {
    found=" $1 "
    grown=1
    while [ "$grown" = 1 ]; do
        grown=0
        for p in /proc/[0-9]*; do
            p=${p#/proc/}
            case $found in *" $p "*) continue ;; esac
            about=$(parent_of "$p") || continue
            case $found in *" ${about#* } "*) found="$found$p "; grown=1 ;; esac
        done
    done
    echo "$found"
}
end_script() {
    kill -s STOP "$1" || return 0
    all=
    until [ "$all" = "$(tree "$1")" ]; do
        all=$(tree "$1")
        for p in $all; do kill -s STOP "$p" 2>/dev/null || :; done
    done
    for p in $all; do [ "$p" = "$1" ] || kill -s KILL "$p" 2>/dev/null || :; done
    n=0
    for p in $all; do
        [ "$p" != "$1" ] || continue
        while about=$(parent_of "$p") && [ "${about%% *}" != Z ] && [ "$n" -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    done
    if [ "$n" -lt 100 ]; then kill -s KILL "$1" || :; else kill -s CONT "$1" || :; fi
}
end_scripts() {
    mutex=$(readlink -f -- "$h/mutex")
    scripts=
    for fd in /proc/[0-9]*/fd/8; do
        if [ "$(readlink -- "$fd" 2>/dev/null)" = "$mutex" ]; then
            fd=${fd#/proc/}
            scripts="$scripts ${fd%%/*}"
        fi
    done
    # They were there before this look: if the lock is still as it was, they are not a new holder's.
    if [ "$(state)" = "$seen" ]; then for script in $scripts; do end_script "$script"; done; fi
}
