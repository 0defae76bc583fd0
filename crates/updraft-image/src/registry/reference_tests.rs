//! Names of images: the table of Docker's rules, and laws over any text.

use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn names_mean_what_they_mean_to_docker() {
    let digest = format!("sha256:{HEX}");
    let with_digest = format!("ghcr.io/a/b:1@{digest}");
    let only_digest = format!("a@{digest}");
    for (text, host, name, content, loopback) in [
        ("debian", "docker.io", "library/debian", "latest", false),
        ("debian:12", "docker.io", "library/debian", "12", false),
        ("index.docker.io/debian", "docker.io", "library/debian", "latest", false),
        ("docker.io/a/b", "docker.io", "a/b", "latest", false),
        ("user/tool:v1", "docker.io", "user/tool", "v1", false),
        ("localhost/a", "localhost", "a", "latest", true),
        ("localhost:5000/a:b", "localhost:5000", "a", "b", true),
        ("r.localhost:5000/a", "r.localhost:5000", "a", "latest", true),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c", "latest", true),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest", true),
        ("[2001:db8::1]/a", "[2001:db8::1]", "a", "latest", false),
        ("Registry/a", "Registry", "a", "latest", false),
        ("ghcr.io/a__b/c--d.e", "ghcr.io", "a__b/c--d.e", "latest", false),
        (&with_digest, "ghcr.io", "a/b", &digest, false),
        (&only_digest, "docker.io", "library/a", &digest, false),
        ("127.0.0.1.example.com/a", "127.0.0.1.example.com", "a", "latest", false),
    ] {
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reference.host(), host, "{text}");
        assert_eq!(reference.name(), name, "{text}");
        assert_eq!(reference.content(), content, "{text}");
        assert_eq!(reference.is_loopback(), loopback, "{text}");
    }
    let hub: Reference = "debian".parse().unwrap();
    assert_eq!(hub.api_host(), "registry-1.docker.io");
}

#[test]
fn what_names_no_image_is_refused_with_what_to_do() {
    let long = format!("ghcr.io/{}", "a".repeat(250));
    let long_tag = format!("a:{}", "b".repeat(129));
    for (text, advice) in [
        ("", "write HOST/NAME:TAG"),
        ("https://ghcr.io/a", "write `ghcr.io/a`"),
        ("docker://a", "write `a`"),
        ("ghcr.io/Orders", "write `orders`"),
        ("ghcr.io/a//b", "cannot be a part of a name"),
        ("ghcr.io/../b", "cannot be a part of a name"),
        ("ghcr.io/a___b", "cannot be a part of a name"),
        ("ghcr.io/", "cannot be a part of a name"),
        ("a:", "is no tag"),
        ("a:.b", "is no tag"),
        ("a b", "cannot be a part of a name"),
        ("localhost:0/a", "from 1 to 65535"),
        ("localhost:65536/a", "from 1 to 65535"),
        ("localhost:+5/a", "from 1 to 65535"),
        ("-x.io/a", "no name of a host"),
        ("[::g]:1/a", "no name of a host"),
        ("a@sha256:12", "64 lower-case"),
        ("a@sha512:12", "64 lower-case"),
        ("user:password@ghcr.io/a", "no digest"),
        (&long, "shorten the name"),
        (&long_tag, "at most 128"),
    ] {
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(advice), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn a_reference_that_is_written_is_read_as_the_same(
        host in "(localhost|[a-z][a-z0-9]{0,8}\\.io|127\\.0\\.0\\.1)(:[1-9][0-9]{0,3})?",
        name in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,8}){0,2}",
        tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        digest in any::<bool>(),
    ) {
        let mut text = format!("{host}/{name}");
        if let Some(tag) = &tag {
            text = format!("{text}:{tag}");
        }
        if digest {
            text = format!("{text}@sha256:{HEX}");
        }
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference.clone());
        prop_assert_eq!(reference.host(), host);
        prop_assert_eq!(reference.name(), name);
    }

    #[test]
    fn any_text_is_a_reference_that_is_safe_in_a_url_or_an_error(text in "\\PC{0,40}|[a-zA-Z0-9./:@_\\[\\]-]{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            let url = format!("https://{}/v2/{}/manifests/{}", reference.api_host(), reference.name(), reference.content());
            let parsed = url::Url::parse(&url).unwrap();
            let expected = format!("/v2/{}/manifests/{}", reference.name(), reference.content());
            prop_assert_eq!(parsed.path(), expected);
            prop_assert_eq!(parsed.username(), "");
        }
    }
}
