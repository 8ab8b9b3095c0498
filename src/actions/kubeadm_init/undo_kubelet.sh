# The kubelet's service as it was. In: before (a folder; absent when `kubeadm init` never began).
[ -d "$before" ] || exit 0
command -v systemctl >/dev/null || exit 0
systemctl reset-failed kubelet 2>/dev/null
# A kubelet without a configuration fails and is started again and again: that is `activating`.
case $(cat "$before/active" 2>/dev/null) in
active | activating) systemctl start --no-block kubelet ;;
esac
exit 0
