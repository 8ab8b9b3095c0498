# Goes to $folder; says why not where `cd` of some shells does not.
if ! cd "$folder" 2>/dev/null; then
    user=$(id -un 2>/dev/null || id -u)
    if [ -d "$folder" ]; then
        echo "the user $user may not enter $folder"
    elif [ -e "$folder" ]; then
        echo "$folder is no folder"
    else
        echo "there is no folder $folder that the user $user can see"
    fi >&2
    exit 1
fi
