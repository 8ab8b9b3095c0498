# Ends a job that may still run, and waits until nothing of it is left.
# In: d (the job's folder).
running() { [ -e "$d/alive" ] && ! flock -n -s "$d/alive" true; }
n=0
while running; do
    # Only a running job's number is its own: later it may be anybody's.
    main=$(cat "$d/main" 2>/dev/null) || main=
    if [ -n "$main" ]; then
        case $n in
        0) kill -TERM "$main" 2>/dev/null ;;
        100) kill -KILL -- "-$main" 2>/dev/null ;;
        esac
    fi
    n=$((n + 1))
    if [ "$n" -gt 300 ]; then
        echo "the job in $d does not end" >&2
        exit 1
    fi
    sleep 0.1
done
