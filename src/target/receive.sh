# Takes bytes of a large file from standard input. Its name is its digest, and each byte has its
# place: whoever writes there, late or twice, writes the same.
# In: part, from (offset).
exec dd "of=$part" bs=1M iflag=fullblock oflag=seek_bytes conv=notrunc "seek=$from" status=none
