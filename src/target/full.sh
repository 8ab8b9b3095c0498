# After a script that failed: which file systems are full, since `dash` only says "I/O error".
drctl_status=$?
if [ "$drctl_status" != 0 ]; then
    df -P -- "$drctl_home" / /etc/kubernetes /var/lib/etcd /var/lib/kubelet 2>/dev/null |
        awk 'NR > 1 && $4 < 64 && !told[$6]++ { print "no space left on device: " $6 " has " $4 " KiB free" }' >&2
fi
exit "$drctl_status"
