# What a finished `kubeadm init` leaves.
for path in admin.conf kubelet.conf manifests/etcd.yaml manifests/kube-apiserver.yaml \
    manifests/kube-controller-manager.yaml manifests/kube-scheduler.yaml pki/apiserver.crt; do
    if [ ! -s "/etc/kubernetes/$path" ]; then
        echo "/etc/kubernetes/$path is not there"
        exit 1
    fi
done
