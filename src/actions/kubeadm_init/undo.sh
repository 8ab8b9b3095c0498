# Ends what `kubeadm init` started. In: before (a folder; absent when it never began).
[ -d "$before" ] || exit 0
if command -v systemctl >/dev/null; then systemctl stop kubelet || exit 1; fi
# Without manifests nothing is started again.
rm -f -- /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/manifests/kube-controller-manager.yaml \
    /etc/kubernetes/manifests/kube-scheduler.yaml /etc/kubernetes/manifests/etcd.yaml
# Pods that were there before stay.
if command -v crictl >/dev/null; then
    crictl pods -q 2>/dev/null | while read -r pod; do
        if ! grep -qxF -- "$pod" "$before/pods" 2>/dev/null; then
            crictl stopp "$pod" && crictl rmp "$pod" || echo "pod $pod could not be removed" >&2
        fi
    done
elif command -v docker >/dev/null; then
    docker ps -aq --filter name=k8s_ | while read -r container; do docker rm -f "$container"; done
fi
# etcd must not write any more.
n=0
while grep -Eqi ':094B [0-9A-F]+:0000 0A' /proc/net/tcp /proc/net/tcp6 2>/dev/null; do
    n=$((n + 1))
    if [ "$n" -gt 300 ]; then
        echo "something still listens on port 2379: etcd could not be stopped" >&2
        exit 1
    fi
    sleep 0.1
done
# Volumes of pods are mounted below, under names without blanks; the deepest go first.
sed -n 's,^[^ ]* \(/var/lib/kubelet/[^ ]*\) .*,\1,p' /proc/mounts | sort -r | while read -r mount; do
    umount -- "$mount" || umount -l -- "$mount"
done
exit 0
