//! The format against the real `age` command, and against files that were touched.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask setup` installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

/// Contents around the borders of chunks.
fn contents() -> Vec<Vec<u8>> {
    let sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000];
    sizes.map(|size| (0..=250).cycle().take(size).collect()).to_vec()
}

#[test]
fn the_age_command_reads_what_is_written_here() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let (ours, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    fs::write(&key, format!("# a comment\n{}\n", *ours.expose())).unwrap();
    for plain in contents() {
        let file = encrypt(&[other.recipient(), ours.recipient()], &plain).unwrap();
        let read = run("age", &["--decrypt", "-i", key.to_str().unwrap()], &file);
        assert!(read == plain, "{} bytes", plain.len());
    }
}

#[test]
fn what_the_age_command_writes_is_read_here() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    run("age-keygen", &["-o", key.to_str().unwrap()], b"");
    let text = fs::read_to_string(&key).unwrap();
    let identity: Identity =
        text.lines().find(|line| line.starts_with("AGE")).unwrap().parse().unwrap();
    assert!(text.contains(&format!("public key: {}\n", identity.recipient())), "{text}");
    let (public, other) = (identity.recipient().to_string(), Identity::generate().unwrap());
    let other = other.recipient().to_string();
    for plain in contents() {
        let file = run("age", &["-r", &other, "-r", &public], &plain);
        let read = decrypt(std::slice::from_ref(&identity), &file).unwrap();
        assert!(*read == plain, "{} bytes", plain.len());
    }
}

#[test]
fn a_key_is_written_in_one_way_and_a_secret_one_is_never_repeated() {
    let identity = Identity::generate().unwrap();
    let (secret, public) = (identity.expose(), identity.recipient());
    assert!(secret.starts_with("AGE-SECRET-KEY-1") && secret.len() == 74, "its length");
    assert_eq!(public.to_string().len(), 62);
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(secret.parse::<Identity>().unwrap().recipient(), public);
    assert_eq!(secret.parse::<Recipient>(), Err(InvalidKey::SecretForPublic));
    assert!(!format!("{identity:?}").contains(&secret[16..]));
    let mut changed = public.to_string();
    changed.replace_range(10..11, if &changed[10..11] == "q" { "p" } else { "q" });
    for wrong in ["", "age1", &changed, "age1qqqq", "ssh-ed25519 AAAA"] {
        assert_eq!(wrong.parse::<Recipient>(), Err(InvalidKey::Public), "{wrong}");
        assert_eq!(wrong.parse::<Identity>().unwrap_err(), InvalidKey::Secret, "{wrong}");
    }
}

#[test]
fn a_key_that_nobody_can_have_is_no_recipient() {
    let nobody = Recipient(x25519_dalek::PublicKey::from([0; 32]));
    assert_eq!(encrypt(&[nobody], b"x"), Err(AgeError::Recipient));
}

#[test]
fn only_a_recipient_opens_a_file() {
    let (first, second) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let stranger = Identity::generate().unwrap();
    let file = encrypt(&[first.recipient(), second.recipient()], b"words").unwrap();
    for identities in [vec![first.clone()], vec![stranger.clone(), second]] {
        assert_eq!(*decrypt(&identities, &file).unwrap(), b"words");
    }
    assert_eq!(decrypt(&[stranger], &file).unwrap_err(), AgeError::OtherKeys);
    assert_eq!(decrypt(&[], &file).unwrap_err(), AgeError::OtherKeys);
}

#[test]
fn chunks_cannot_be_left_out_or_exchanged() {
    let identity = Identity::generate().unwrap();
    let plain = vec![7; 3 * 65_536];
    let file = encrypt(&[identity.recipient()], &plain).unwrap();
    let begin = file.len() - 3 * (65_536 + 16);
    let (head, chunks) = file.split_at(begin);
    let chunks: Vec<&[u8]> = chunks.chunks(65_536 + 16).collect();
    for order in [&[0, 1][..], &[0], &[], &[1, 0, 2], &[0, 2], &[0, 1, 2, 2], &[0, 1, 2]] {
        let file =
            [head, &order.iter().map(|&at| chunks[at]).collect::<Vec<_>>().concat()].concat();
        let read = decrypt(std::slice::from_ref(&identity), &file);
        assert_eq!(read.is_ok(), order == [0, 1, 2], "{order:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_changed_or_cut_file_is_read(plain in any::<[u8; 40]>(), seed in any::<u64>()) {
        let identity = Identity::generate().unwrap();
        let file = encrypt(&[identity.recipient()], &plain).unwrap();
        let read = |file: &[u8]| decrypt(std::slice::from_ref(&identity), file);
        prop_assert_eq!(&*read(&file).unwrap(), &plain[..]);
        let mut chance = fastrand::Rng::with_seed(seed);
        for _ in 0..8 {
            let mut changed = file.clone();
            changed[chance.usize(..file.len())] ^= 1 << chance.u8(..8);
            prop_assert!(read(&changed).is_err());
            prop_assert!(read(&file[..chance.usize(..file.len())]).is_err());
        }
        prop_assert!(read(&[&file[..], b"x"].concat()).is_err());
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let identity = Identity::generate().unwrap();
        let with_version = [b"age-encryption.org/v1\n-> X25519 ", &bytes[..]].concat();
        for file in [bytes, with_version] {
            prop_assert!(decrypt(std::slice::from_ref(&identity), &file).is_err());
        }
    }
}
