//! Versions of etcd and Kubernetes, as far as they are compared: releases that differ only after the second number fit.

/// The first two numbers of a version such as `v1.20.2` or `3.4.13-0`.
pub fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map_while(|part| part.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn versions_have_two_numbers() {
        assert_eq!(minor("v1.20.2"), Some((1, 20)));
        assert_eq!(minor("3.4.13-0"), Some((3, 4)));
        assert_eq!(minor("1"), None);
        assert_eq!(minor("stable-1.20"), None);
    }
}
