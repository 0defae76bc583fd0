//! Statements that were signed are believed, and no others; OpenSSL reads keys and signatures.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn statement() -> Statement {
    let parameters = BTreeMap::from([("service".to_owned(), Value::from("orders"))]);
    let resolved = vec![
        Resource::git("https://host.invalid/shop", "0123456789abcdef0123456789abcdef01234567"),
        Resource::input("inputs", "blake3", "00"),
    ];
    Statement::of("shop/orders", &Digest::of(b"image"), parameters, resolved)
        .ran(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(61))
}

fn key() -> (tempfile::TempDir, SigningKey) {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::open(&folder.path().join("keys/build.pem")).unwrap();
    (folder, key)
}

#[test]
fn a_statement_has_the_shape_of_in_toto_and_slsa() {
    let json = serde_json::to_value(statement()).unwrap();
    for (pointer, expected) in [
        ("/_type", "https://in-toto.io/Statement/v1"),
        ("/predicateType", "https://slsa.dev/provenance/v1"),
        ("/subject/0/name", "shop/orders"),
        ("/subject/0/digest/sha256", Digest::of(b"image").hex()),
        ("/predicate/buildDefinition/externalParameters/service", "orders"),
        ("/predicate/buildDefinition/buildType", BUILD_TYPE),
        (
            "/predicate/buildDefinition/resolvedDependencies/0/digest/gitCommit",
            "0123456789abcdef0123456789abcdef01234567",
        ),
        ("/predicate/buildDefinition/resolvedDependencies/0/uri", "git+https://host.invalid/shop"),
        ("/predicate/runDetails/builder/id", LOCAL_BUILDER),
        ("/predicate/runDetails/metadata/startedOn", "1970-01-01T00:00:00Z"),
        ("/predicate/runDetails/metadata/finishedOn", "1970-01-01T00:01:01Z"),
    ] {
        assert_eq!(json.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer}");
    }
    assert!(statement().is_about(&Digest::of(b"image")));
    assert!(!statement().is_about(&Digest::of(b"other")));
}

#[test]
fn only_what_a_trusted_key_signed_is_believed() {
    let (_folder, key) = key();
    let (_other_folder, other) = self::key();
    let envelope = key.sign(&statement()).unwrap();
    let envelope = Envelope::from_json(&envelope.to_json()).unwrap();
    let trusted = [other.public(), key.public()];
    assert_eq!(envelope.verify(&trusted).unwrap(), statement());
    let error = envelope.verify(&[other.public()]).unwrap_err().to_string();
    assert!(error.contains(&key.public().id()), "{error}");
    assert!(envelope.verify(&[]).is_err());

    let payload = STANDARD.decode(&envelope.payload).unwrap();
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        let changed = Envelope { payload: STANDARD.encode(changed), ..envelope.clone() };
        assert!(matches!(changed.verify(&trusted), Err(EnvelopeError::Untrusted { .. })));
    }
    let renamed = Envelope { payload_type: "text/plain".to_owned(), ..envelope.clone() };
    assert!(matches!(renamed.verify(&trusted), Err(EnvelopeError::Untrusted { .. })));
    let bare = Envelope { signatures: Vec::new(), ..envelope };
    assert!(matches!(bare.verify(&trusted), Err(EnvelopeError::Untrusted { .. })));
}

#[test]
fn a_signed_statement_of_another_kind_is_not_taken_for_provenance() {
    let (_folder, key) = key();
    for change in [(|it: &mut Statement| it.kind.push('0')) as fn(&mut Statement), |it| {
        it.predicate_type = "https://slsa.dev/verification_summary/v1".to_owned()
    }] {
        let mut statement = statement();
        change(&mut statement);
        let error = key.sign(&statement).unwrap().verify(&[key.public()]).unwrap_err();
        assert!(matches!(error, EnvelopeError::Kind { .. }), "{error}");
    }
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/key.pem");
    let first = SigningKey::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(SigningKey::open(&path).unwrap().public(), first.public());
    let shown = format!("{first:?}");
    let secret = fs::read_to_string(&path).unwrap();
    assert!(secret.lines().all(|line| !shown.contains(line)), "{shown}");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let error = SigningKey::open(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "no key").unwrap();
    let error = SigningKey::open(&path).unwrap_err();
    assert!(matches!(error, KeyError::Shape { .. }), "{error}");
}

#[test]
fn openssl_reads_the_key_and_checks_the_signature() {
    let (folder, key) = key();
    let place = |name: &str| folder.path().join(name);
    let public = Command::new("openssl")
        .args(["pkey", "-pubout", "-in"])
        .arg(place("keys/build.pem"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(public.stdout).unwrap(), key.public().to_pem());
    assert_eq!(PublicKey::from_pem(&key.public().to_pem()).unwrap(), key.public());
    let envelope = key.sign(&statement()).unwrap();
    let payload = STANDARD.decode(&envelope.payload).unwrap();
    let mut signed = b"DSSEv1 28 application/vnd.in-toto+json ".to_vec();
    signed.extend(format!("{} ", payload.len()).bytes());
    signed.extend(payload);
    fs::write(place("message"), signed).unwrap();
    let signature = STANDARD.decode(&envelope.signatures[0].sig).unwrap();
    fs::write(place("signature"), signature).unwrap();
    fs::write(place("public.pem"), key.public().to_pem()).unwrap();
    let checked = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"])
        .arg(place("public.pem"))
        .arg("-in")
        .arg(place("message"))
        .arg("-sigfile")
        .arg(place("signature"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
