# What comes before `kubeadm init`. In: before (a folder that tells what kubelet and pods were).
set -e
# Without data kubeadm would make an empty cluster and say that all is well.
if ! ls /var/lib/etcd/member/wal/*.wal >/dev/null 2>&1; then
    echo "/var/lib/etcd holds no restored data (no member/wal/*.wal)" >&2
    exit 1
fi
if [ ! -d "$before" ]; then
    rm -rf -- "$before.new"
    mkdir -- "$before.new"
    if command -v systemctl >/dev/null; then
        systemctl is-active kubelet >"$before.new/active" 2>/dev/null || :
    fi
    if command -v crictl >/dev/null; then crictl pods -q >"$before.new/pods" 2>/dev/null || :; fi
    sync -f "$before.new"
    mv -T -- "$before.new" "$before"
fi
# An older life's leaf certificates are for other names and ages, and kubeadm would keep them.
cd /etc/kubernetes
rm -f -- admin.conf super-admin.conf kubelet.conf bootstrap-kubelet.conf controller-manager.conf scheduler.conf
rm -f -- manifests/kube-apiserver.yaml manifests/kube-controller-manager.yaml manifests/kube-scheduler.yaml manifests/etcd.yaml
rm -f -- pki/apiserver.crt pki/apiserver.key pki/apiserver-kubelet-client.crt pki/apiserver-kubelet-client.key
rm -f -- pki/apiserver-etcd-client.crt pki/apiserver-etcd-client.key pki/front-proxy-client.crt pki/front-proxy-client.key
rm -f -- pki/etcd/server.crt pki/etcd/server.key pki/etcd/peer.crt pki/etcd/peer.key
rm -f -- pki/etcd/healthcheck-client.crt pki/etcd/healthcheck-client.key
cd /
# A kubelet takes a client certificate that it finds here before the one that kubeadm makes, whoever signed it.
rm -f -- /var/lib/kubelet/pki/kubelet-client*
