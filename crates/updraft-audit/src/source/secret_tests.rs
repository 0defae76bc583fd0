//! Secrets made on the spot, with checksums that are right and checksums that are not. They
//! stand here in pieces, so that this repository holds none.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::source::trees::Folder;
use crate::verdict::Verdict;

/// Bytes that look drawn, the same in each run.
fn drawn(length: usize, alphabet: &[u8], seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| char::from(alphabet[random.usize(..alphabet.len())])).collect()
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: &[u8] = b"0123456789";

fn with_checksum(prefix: &str, seed: u64) -> String {
    let body = drawn(30, BASE62, seed);
    let sum = checksum::of(body.as_bytes());
    format!("{prefix}{body}{}", std::str::from_utf8(&sum).unwrap())
}

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

fn macaroon(location: &str) -> String {
    let mut token = vec![2, 1, u8::try_from(location.len()).unwrap()];
    token.extend(location.as_bytes());
    token.extend([2, 16]);
    token.extend(bytes(16, 3));
    token.extend([0, 2, 4, b'[', b'0', b',', b']', 0, 0, 6, 32]);
    token.extend(bytes(32, 4));
    format!("{}{}", "pypi-", URL_SAFE_NO_PAD.encode(token))
}

fn armoured(label: &str, key: &[u8], line_end: &str) -> String {
    let letters = STANDARD.encode(key);
    let lines: Vec<&str> =
        letters.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let dashes = "-".repeat(5);
    format!(
        "{dashes}BEGIN {label}{dashes}{line_end}{}{line_end}{dashes}END {label}{dashes}{line_end}",
        lines.join(line_end)
    )
}

/// A SEQUENCE with the version 0 and drawn bytes.
fn der(length: u8) -> Vec<u8> {
    let mut key = vec![0x30, 0x81, length, 2, 1, 0];
    key.extend(bytes(usize::from(length) - 3, 5));
    key
}

fn openssh(cipher: &str) -> Vec<u8> {
    let mut key = b"openssh-key-v1\0\0\0\0".to_vec();
    key.push(u8::try_from(cipher.len()).unwrap());
    key.extend(cipher.as_bytes());
    key.extend(bytes(100, 6));
    key
}

fn aws(beginning: &str, seed: u64) -> (String, String) {
    // The first digit below `I` keeps the account within twelve decimal digits.
    let id = format!("{beginning}Z{}", drawn(15, BASE32, seed));
    (id, drawn(40, BASE62, seed + 1))
}

fn azure() -> String {
    STANDARD.encode(bytes(64, 8))
}

fn web_token(algorithm: &str, subject: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{subject}"}}"#));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(bytes(32, 9)))
}

fn scanned(path: &str, text: &str) -> Option<Weight> {
    let scanner = Scanner::new().unwrap();
    scanner.scan(path, text.as_bytes()).iter().map(|found| found.weight).min()
}

#[test]
fn what_is_proven_fails() {
    let (id, secret) = aws("AKIA", 11);
    let pin = |length, seed| drawn(length, DIGITS, seed);
    let key62 = |length, seed| drawn(length, BASE62, seed);
    let json = format!(
        r#"{{"type": "service_account", "private_key": "{}"}}"#,
        armoured("PRIVATE KEY", &der(200), "\\n")
    );
    let cases = [
        ("a classic token of GitHub", with_checksum("ghp_", 1)),
        ("one of a server", with_checksum("ghs_", 2)),
        ("one of OAuth, quoted", format!("t = \"{}\";", with_checksum("gho_", 3))),
        (
            "tests that are elsewhere",
            format!("#[cfg(test)]\nmod tests;\n{}", with_checksum("ghp_", 1)),
        ),
        ("a token of npm", format!("//r/:_authToken={}\n", with_checksum("npm_", 4))),
        ("GitLab", format!("glpat-{}", key62(20, 5))),
        ("AWS", format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")),
        ("AWS, the secret first", format!("secret: {secret}\nid: {id}\n")),
        ("Slack", format!("xoxb-{}-{}-{}", pin(12, 6), pin(12, 7), key62(24, 8))),
        ("Stripe", format!("{}_live_{}", "sk", key62(24, 9))),
        ("Stripe, restricted", format!("{}_live_{}", "rk", key62(99, 10))),
        ("PyPI", macaroon("pypi.org")),
        ("PKCS #8", armoured("PRIVATE KEY", &der(200), "\n")),
        ("RSA with other line ends", armoured("RSA PRIVATE KEY", &der(200), "\r\n")),
        ("EC", armoured("EC PRIVATE KEY", &der(200), "\n")),
        ("OpenSSH", armoured("OPENSSH PRIVATE KEY", &openssh("none"), "\n")),
        ("a service account of Google", json),
        ("Azure", format!("AccountName=shop;AccountKey={};Endpoint", azure())),
        ("crates.io", format!("token = \"cio{}\"", key62(32, 12))),
        ("a rented PostgreSQL", format!("postgres://app:{}@ep-1.eu.neon.tech/shop", key62(16, 15))),
        (
            "a rented MongoDB",
            format!("\"mongodb+srv://app:{}@c0.ab1.mongodb.net/\"", key62(16, 14)),
        ),
    ];
    for (what, text) in cases {
        assert_eq!(scanned("src/a.rs", &text), Some(Weight::Fail), "{what}: {text}");
    }
}

#[test]
fn what_is_nearly_one_is_none() {
    let right = with_checksum("ghp_", 1);
    let mut wrong = right.clone();
    wrong.replace_range(10..11, if &right[10..11] == "x" { "y" } else { "x" });
    let (id, secret) = aws("AKIA", 11);
    let mut short = der(200);
    short.pop();
    let key62 = |length, seed| drawn(length, BASE62, seed);
    let cases = [
        ("another checksum", wrong),
        ("a longer word", format!("{right}a")),
        ("inside a word", format!("a{right}")),
        ("npm without its checksum", format!("npm_{}", key62(36, 2))),
        ("a package of npm", "npm_config_registry_and_other_variables_of_npm".to_owned()),
        ("GitLab's manual", format!("glpat-{}", "x".repeat(20))),
        ("an alphabet", "glpat-ABCDEFGHIJKLMNOPQRST".to_owned()),
        ("an id of AWS alone", format!("id = {id}\n")),
        ("the id of AWS's manual", format!("{}EXAMPLE {secret}", "AKIAIOSFODNN7")),
        ("an id and a commit", format!("{id} {}", drawn(40, b"0123456789abcdef", 4))),
        ("far from its secret", format!("{id}{}{secret}", "\n".repeat(400))),
        ("Slack's manual", "xoxb-123456789012-123456789012-abcdefghijklmnopqrstuvwx".to_owned()),
        ("Stripe's test key", format!("{}_test_{}", "sk", key62(24, 9))),
        ("Stripe's manual", format!("{}_live_{}", "sk", "x".repeat(24))),
        ("PyPI for tests", macaroon("test.pypi.org")),
        ("PyPI cut off", macaroon("pypi.org")[..60].to_owned()),
        ("a key that is cut off", armoured("RSA PRIVATE KEY", &short, "\n")),
        ("a key of words", armoured("PRIVATE KEY", b"not a key at all, but words", "\n")),
        ("a certificate", armoured("CERTIFICATE", &der(200), "\n")),
        ("a public key", armoured("PUBLIC KEY", &der(200), "\n")),
        ("the beginning alone", format!("{}BEGIN PRIVATE KEY{}", "-----", "-----")),
        ("the emulator of Azure", format!("AccountKey=Eby8vdM02xNOcqFl{}", &azure()[16..])),
        ("Azure, too short", format!("AccountKey={}", STANDARD.encode(bytes(48, 1)))),
        ("the token of jwt.io", web_token("HS256", "1234567890")),
        ("a token nobody signed", web_token("none", "a")),
        ("a word with cio", "precious cio_and_more socio".to_owned()),
        ("cio in Base64", format!("/cio{}+", key62(32, 12))),
        ("a template", "postgres://${USER}:${PASSWORD}@db.shop.de/x".to_owned()),
        ("a format", "postgres://{user}:{password}@{host}/x".to_owned()),
        ("this machine", format!("postgres://app:{}@localhost:5432/x", key62(16, 1))),
        ("a container", format!("redis://:{}@cache:6379", key62(16, 1))),
        ("a manual", format!("postgres://app:{}@db.example.com/x", key62(16, 1))),
        ("a word as password", "postgres://shop:secretpassword1@db.shop.de/x".to_owned()),
        ("no password", "postgres://app@ep-1.eu.neon.tech/shop".to_owned()),
        ("a page", format!("https://a:{}@shop.de/", key62(16, 1))),
        ("a name and a call", "password = get_password_from_the_environment()".to_owned()),
        ("a checksum of a file", format!("sha512: \"{}\"", key62(80, 1))),
    ];
    for (what, text) in cases {
        assert_eq!(scanned("src/a.py", &text), None, "{what}: {text}");
    }
}

#[test]
fn what_only_looks_like_one_is_a_warning() {
    let (id, secret) = aws("ASIA", 21);
    let key62 = |length, seed| drawn(length, BASE62, seed);
    let cases = [
        ("a temporary key", "a.py", format!("{id} {secret}")),
        ("a key of Google", "a.py", format!("AIza{}", key62(35, 3))),
        ("a JSON web token", "a.py", web_token("HS256", "somebody")),
        ("cio without a reason", "a.py", format!("x = cio{}", key62(32, 12))),
        ("fine-grained", "a.py", format!("github_pat_{}_{}", key62(22, 1), key62(59, 2))),
        ("a server somewhere", "a.py", format!("mysql://app:{}@db.shop.de/x", key62(16, 1))),
        ("a drawn value", "a.yaml", format!("api_key: '{}'", key62(32, 6))),
        ("a file of variables", ".env", format!("A=1\nSTRIPE_SECRET={}\n", key62(24, 7))),
        ("a fixture", "tests/fixtures/a.json", with_checksum("ghp_", 1)),
        ("a file of tests", "src/a_test.go", with_checksum("ghp_", 1)),
        (
            "tests below what they test",
            "src/a.rs",
            format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}", with_checksum("ghp_", 1)),
        ),
        ("somebody else's", "vendor/a/b.go", with_checksum("ghp_", 1)),
        ("a key in a manual", "README.md", armoured("PRIVATE KEY", &der(200), "\n")),
    ];
    for (what, path, text) in cases {
        assert_eq!(scanned(path, &text), Some(Weight::Warn), "{what}: {text}");
    }
    for (path, text) in [
        ("tests/a.yaml", format!("api_key: '{}'", key62(32, 6))),
        (".env.example", format!("STRIPE_SECRET={}\n", key62(24, 7))),
        ("yarn.lock", format!("token: '{}'", key62(32, 6))),
    ] {
        assert_eq!(scanned(path, &text), None, "{path}");
    }
}

#[test]
fn a_key_that_is_encrypted_is_a_fact() {
    let headed = format!(
        "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n{}",
        STANDARD.encode(bytes(64, 1))
    );
    let dashes = "-".repeat(5);
    let cases = [
        armoured("ENCRYPTED PRIVATE KEY", &der(200), "\n"),
        armoured("OPENSSH PRIVATE KEY", &openssh("aes256-ctr"), "\n"),
        format!(
            "{dashes}BEGIN RSA PRIVATE KEY{dashes}\n{headed}\n{dashes}END RSA PRIVATE KEY{dashes}"
        ),
    ];
    for text in cases {
        assert_eq!(scanned("key.pem", &text), Some(Weight::Info), "{text}");
    }
}

#[test]
fn a_finding_names_file_and_line_and_not_the_secret() {
    let token = with_checksum("ghp_", 1);
    let text = format!("a\nb\nkey = '{token}'\n");
    let folder = Folder::committed(&[("src/app.py", &text), ("README", "x")]);
    let seen = look(&folder.tree());
    assert_eq!(seen.verdict, Verdict::Fail, "{seen:?}");
    assert!(seen.evidence.contains("src/app.py:3: a token of GitHub"), "{seen:?}");
    assert!(
        seen.reproducer.as_ref().is_some_and(|line| line.starts_with("sed -n 3p ")),
        "{seen:?}"
    );
    assert!(!format!("{seen:?}").contains(&token[5..]), "{seen:?}");
}

#[test]
fn only_what_is_tracked_counts() {
    let token = with_checksum("ghp_", 1);
    let folder = Folder::committed(&[(".gitignore", ".env\n"), ("app.py", "x"), ("b/app.py", "x")]);
    folder.write(".env", token.as_bytes());
    folder.write("new.py", token.as_bytes());
    assert_eq!(look(&folder.tree()).verdict, Verdict::Pass, "ignored, and not yet tracked");
    folder.commit();
    assert_eq!(look(&folder.tree()).verdict, Verdict::Fail, "now it is tracked");
    assert_eq!(look(&folder.tree_at("b")).verdict, Verdict::Pass, "another service");
}

#[test]
fn without_version_control_nothing_is_tracked_so_that_nothing_fails() {
    let token = with_checksum("ghp_", 1);
    let folder = Folder::with(&[(".gitignore", "kept\n"), ("kept", &token), ("app.py", "x")]);
    folder.write("node_modules/a/b.js", token.as_bytes());
    assert_eq!(look(&folder.tree()).verdict, Verdict::Pass);
    folder.write("app.py", token.as_bytes());
    assert_eq!(look(&folder.tree()).verdict, Verdict::Warn);
}

#[test]
fn in_a_repository_of_another_system_all_counts_that_is_not_ignored() {
    let token = with_checksum("ghp_", 1);
    let files = [(".hg/store", "x"), (".gitignore", "kept\n"), ("kept", &*token), ("app.py", "x")];
    let folder = Folder::with(&files);
    assert_eq!(look(&folder.tree()).verdict, Verdict::Pass);
    folder.write("app.py", token.as_bytes());
    assert_eq!(look(&folder.tree()).verdict, Verdict::Fail);
}

#[test]
fn what_was_not_read_is_counted_and_nothing_read_is_unknown() {
    let token = with_checksum("ghp_", 1);
    let folder = Folder::committed(&[("app.py", "x")]);
    folder.write("image", format!("\0{token}").as_bytes());
    folder.write("large", format!("{}{token}", " ".repeat(2 << 20)).as_bytes());
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    folder.commit();
    let seen = look(&folder.tree());
    assert_eq!(seen.verdict, Verdict::Pass, "{seen:?}");
    assert!(seen.evidence.contains("1 tracked files; 2 binary or larger"), "{seen:?}");

    assert_eq!(look(&Folder::with(&[]).tree()).verdict, Verdict::Unknown);
}

#[test]
fn this_repository_holds_no_secret() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let seen = look(&Tree::at(&root).unwrap());
    assert_eq!(seen.verdict, Verdict::Pass, "{seen:#?}");
}

fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "(ghp_|npm_|github_pat_|glpat-|AKIA|ASIA|xoxb-|sk_live_|AIza|pypi-AgE|eyJ|cio)[0-9A-Za-z._-]{0,90}"
            .prop_map(String::into_bytes),
        "(-----BEGIN (RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE KEY-----)?[A-Za-z0-9+/=\\\\\\n]{0,80}(-----END )?"
            .prop_map(String::into_bytes),
        "(postgres|redis|mysql\\+x)?://[a-z:@.%é]{0,40}".prop_map(String::into_bytes),
        "AccountKey=[A-Za-z0-9+/=]{0,90}|(password|token) ?[:=] ?['\"][0-9A-Za-z]{0,60}['\"]"
            .prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_lines_are_lines(
        parts in prop::collection::vec(beginnings(), 0..8),
        path in "[a-z./_]{0,12}",
    ) {
        let text = parts.concat();
        let lines = text.split(|byte| *byte == b'\n').count();
        for found in Scanner::new().unwrap().scan(&path, &text) {
            prop_assert!((1..=lines).contains(&found.line));
        }
    }

    #[test]
    fn a_secret_is_in_nothing_that_is_said(seed in any::<u64>(), before in "[ -~\\n]{0,40}") {
        let seed = seed >> 1;
        let (id, key) = aws("AKIA", seed);
        let secrets = [with_checksum("ghp_", seed), with_checksum("npm_", seed), key];
        let text = format!("{before}\n{}\n{} \n{id} {}\n", secrets[0], secrets[1], secrets[2]);
        let folder = Folder::with(&[("app.py", &text)]);
        let seen = look(&folder.tree());
        prop_assert_eq!(seen.verdict, Verdict::Warn, "they are found");
        let said = format!("{seen:?}");
        for secret in &secrets {
            prop_assert!(!said.contains(&secret[5..12]), "{said}");
        }
    }
}
