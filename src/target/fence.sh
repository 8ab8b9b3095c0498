# Nothing is changed unless the lock still has the epoch that this controller took it with.
# While a script runs, nobody can take the lock over.
drctl_now=
if [ -e "$drctl_home/mutex" ] && exec 8<"$drctl_home/mutex" && flock -s 8; then
    read -r drctl_now <"$drctl_home/epoch" || :
fi
if [ -z "$drctl_now" ] || [ "$drctl_now" != "$drctl_epoch" ]; then
    echo "drctl: lost lock" >&2
    cat "$drctl_home/holder" >&2
    exit 75
fi
