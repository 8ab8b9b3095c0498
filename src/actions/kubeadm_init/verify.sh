# What a finished `kubeadm init` leaves; `controllers` says whether it was to start them. Out: what starts the API server.
set -- admin.conf kubelet.conf manifests/etcd.yaml manifests/kube-apiserver.yaml pki/apiserver.crt
[ "$controllers" != true ] || set -- "$@" manifests/kube-controller-manager.yaml manifests/kube-scheduler.yaml
for path; do
    if [ ! -s "/etc/kubernetes/$path" ]; then
        echo "/etc/kubernetes/$path is not there"
        exit 1
    fi
done
cat /etc/kubernetes/manifests/kube-apiserver.yaml
