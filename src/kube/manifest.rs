//! The static pod that runs an API server, as kubeadm writes it.

/// Where it is.
pub const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// The port that the API server listens on; `None` when the manifest does not say.
pub fn secure_port(manifest: &str) -> Option<u16> {
    let (_, rest) = manifest.split_once("--secure-port=")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_api_servers_own() {
        let manifest =
            |line: &str| format!("    - --requestheader-group-headers=X\n    - {line}\n    - --tls-cert-file=/a\n");
        assert_eq!(secure_port(&manifest("--secure-port=8443")), Some(8443));
        assert_eq!(secure_port(&manifest("\"--secure-port=8443\"")), Some(8443));
        assert_eq!(secure_port(&manifest("--secure-port=x")), None);
        assert_eq!(secure_port(&manifest("--service-cluster-ip-range=10.96.0.0/12")), None);
    }
}
