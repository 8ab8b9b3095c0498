# Says `whole`, or what is wrong with the restored data. In: data, marker.
if ! read -r made 2>/dev/null <"$marker"; then echo "the restore did not come to its end"; exit; fi
if [ "$(stat -c %i -- "$data/member" 2>/dev/null)" != "$made" ]; then echo "$data is not what was restored"; exit; fi
for file in "$data"/member/wal/*.wal "$data"/member/snap/*.snap "$data/member/snap/db"; do
    if [ ! -s "$file" ]; then echo "$file is missing"; exit; fi
done
for folder in "$data/member" "$data/member/wal" "$data/member/snap"; do
    state=$(stat -c '%a %u:%g' -- "$folder")
    if [ "$state" != "700 0:0" ]; then echo "$folder is $state instead of 700 0:0"; exit; fi
done
echo whole
