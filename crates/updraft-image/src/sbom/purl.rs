//! Package URLs, as the specification of purl (ECMA-427) writes those of each ecosystem.

use crate::Package;

/// A crate of Rust.
pub(super) fn cargo(name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    of("cargo", &[name], version, qualifiers)
}

/// A package of npm, `name` or `@scope/name`.
pub(super) fn npm(name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let name = name.to_lowercase();
    let parts: Vec<&str> = name.split('/').collect();
    of("npm", &parts, version, qualifiers)
}

/// A package of Python, whose names are compared without case and with `-` for `_`.
pub(super) fn pypi(name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    of("pypi", &[&name.to_lowercase().replace('_', "-")], version, qualifiers)
}

/// A package of Debian or of a distribution that stems from it.
pub(super) fn debian(package: &Package) -> String {
    let mut qualifiers = vec![("arch", package.architecture.as_str())];
    if !package.distribution.is_empty() {
        qualifiers.push(("distro", package.distribution.as_str()));
    }
    let name = package.name.to_lowercase();
    of("deb", &[&package.vendor.to_lowercase(), &name], &package.version, &qualifiers)
}

fn of(kind: &str, path: &[&str], version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut text = format!("pkg:{kind}");
    for part in path {
        text.push('/');
        escape(&mut text, part);
    }
    if !version.is_empty() {
        text.push('@');
        escape(&mut text, version);
    }
    let mut qualifiers = qualifiers.to_vec();
    qualifiers.sort_unstable();
    for (number, (key, value)) in qualifiers.into_iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

/// Everything but letters, digits, `.`, `-`, `_`, `~` and `:` is percent-encoded.
fn escape(text: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_those_of_the_specification() {
        let package = |name: &str, version: &str, architecture: &str| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: architecture.to_owned(),
            vendor: "debian".to_owned(),
            distribution: "debian-12".to_owned(),
            licences: Vec::new(),
        };
        for (made, expected) in [
            (cargo("rand", "0.7.2", &[]), "pkg:cargo/rand@0.7.2"),
            (cargo("a", "1.0.0+b", &[]), "pkg:cargo/a@1.0.0%2Bb"),
            (npm("foobar", "12.3.1", &[]), "pkg:npm/foobar@12.3.1"),
            (npm("@angular/animation", "12.3.1", &[]), "pkg:npm/%40angular/animation@12.3.1"),
            (pypi("Django_package", "1.11.1.dev1", &[]), "pkg:pypi/django-package@1.11.1.dev1"),
            (
                cargo("a", "1.0.0", &[("vcs_url", "git+https://x.invalid/a@01")]),
                "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps:%2F%2Fx.invalid%2Fa%4001",
            ),
            (
                debian(&package("libc6", "2.36-9+deb12u10", "amd64")),
                "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
            ),
            (
                debian(&package("libstdc++6", "1:12.2.0-14", "arm64")),
                "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14?arch=arm64&distro=debian-12",
            ),
        ] {
            assert_eq!(made, expected);
        }
    }
}
