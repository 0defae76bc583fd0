//! TLS and mutual TLS with certificates that are right, wrong, old and new.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{PATIENCE, Process, wait_until};
use crate::wire::{Wire, tcp};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// An authority of certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Leaf {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { cert, key: key.serialize_pem() }
    }
}

fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 2, 1);
}

impl Leaf {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("key.pem"), &self.key).unwrap();
        std::fs::write(folder.join("cert.pem"), &self.cert).unwrap();
    }
}

/// How a client connects.
struct ClientOf<'a> {
    trusts: &'a Authority,
    shows: Option<&'a Leaf>,
    versions: &'a [&'static rustls::SupportedProtocolVersion],
    protocols: &'a [&'a str],
}

impl<'a> ClientOf<'a> {
    fn new(trusts: &'a Authority) -> Self {
        Self { trusts, shows: None, versions: rustls::ALL_VERSIONS, protocols: &["http/1.1"] }
    }

    fn open(&self, address: &str) -> Wire<Tls> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let cert = CertificateDer::from_pem_slice(leaf.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols =
            self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire::new(StreamOwned::new(connection, stream))
    }

    fn get(&self, address: &str, path: &str) -> std::io::Result<crate::wire::Answer> {
        self.open(address).ask("GET", path, &[], b"")
    }
}

/// A process that serves this certificate from files in this folder.
fn process(folder: &Path, leaf: &Leaf, more: &[(&str, &str)]) -> (Process, String) {
    leaf.write(folder);
    let path = |name: &str| folder.join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let mut variables = vec![("TLS_CERT_FILE", cert.as_str()), ("TLS_KEY_FILE", key.as_str())];
    variables.extend_from_slice(more);
    Process::web(&variables)
}

#[test]
fn who_goes_away_while_a_handler_works_is_noticed() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let leaf = authority.leaf("localhost", |_| {});
    let (mut process, address) = process(folder.path(), &leaf, &[("LOG_LEVEL", "debug")]);
    let mut connection = ClientOf::new(&authority).open(&address);
    connection.send("GET /until-stop HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    process.wait_for("waiting for the stop");
    let tls = connection.0.get_mut();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    process.wait_for("the client went away");
}

#[test]
fn both_versions_are_spoken_and_strangers_are_told_nothing() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let leaf = authority.leaf("localhost", |_| {});
    let (_process, address) = process(folder.path(), &leaf, &[("HEADER_TIMEOUT", "500ms")]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = ClientOf { versions: &[version], ..ClientOf::new(&authority) };
        let answer = client.get(&address, "/peer").unwrap();
        assert_eq!(answer.text(), "127.0.0.1 true None");
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
    }
    let http2 = ClientOf { protocols: &["h2", "http/1.1"], ..ClientOf::new(&authority) };
    let mut http2 = http2.open(&address);
    http2.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    assert_eq!(http2.0.get_ref().conn.alpn_protocol(), Some(&b"h2"[..]));
    let mut settings = [0; 9];
    std::io::Read::read_exact(&mut http2.0, &mut settings).unwrap();
    assert_eq!(settings[3], 4, "a SETTINGS frame");

    let stranger = ClientOf::new(&Authority::new()).get(&address, "/").unwrap_err();
    assert!(stranger.to_string().contains("invalid peer certificate"), "{stranger}");
    let mut plain = tcp(&address);
    plain.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert!(!plain.rest().starts_with(b"HTTP"), "what is not encrypted is not answered");
    // Half a handshake: a record that says that more will come.
    let mut half = tcp(&address);
    half.send(b"\x16\x03\x01\x02\x00\x01").unwrap();
    let began = Instant::now();
    assert_eq!(half.rest(), b"");
    assert!(Duration::from_millis(450) < began.elapsed(), "{:?}", began.elapsed());
}

#[test]
fn certificates_are_read_again_when_their_files_change_and_bad_ones_are_not_taken() {
    let (folder, old) = (tempfile::tempdir().unwrap(), Authority::new());
    let (mut process, address) = process(folder.path(), &old.leaf("localhost", |_| {}), &[]);
    let mut kept = ClientOf::new(&old).open(&address);
    assert_eq!(kept.ask("GET", "/", &[], b"").unwrap().status, 200);
    // A key that is not of the certificate: what works is served on.
    let other = old.leaf("localhost", |_| {});
    std::fs::write(folder.path().join("key.pem"), &other.key).unwrap();
    process.wait_for("new TLS certificates are refused");
    assert_eq!(ClientOf::new(&old).get(&address, "/").unwrap().status, 200);
    let new = Authority::new();
    new.leaf("localhost", |_| {}).write(folder.path());
    process.wait_for("new TLS certificates are served");
    assert_eq!(ClientOf::new(&new).get(&address, "/").unwrap().status, 200);
    assert!(ClientOf::new(&old).get(&address, "/").is_err());
    assert_eq!(kept.ask("GET", "/", &[], b"").unwrap().status, 200, "it is not cut");
}

#[test]
fn an_expired_certificate_of_ours_is_served_from_the_moment_it_is_renewed() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (_process, address) = process(folder.path(), &authority.leaf("localhost", expired), &[]);
    let error = ClientOf::new(&authority).get(&address, "/").unwrap_err();
    assert!(error.to_string().contains("certificate expired"), "{error}");
    authority.leaf("localhost", |_| {}).write(folder.path());
    wait_until("the new one is served", || ClientOf::new(&authority).get(&address, "/").is_ok());
}

#[test]
fn clients_prove_who_they_are_and_only_those_of_the_authority_may_ask() {
    let (folder, authority, clients) =
        (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let ours = authority.leaf("localhost", |_| {});
    let orders = clients.leaf("orders.shop", |params| {
        params.subject_alt_names.push(SanType::URI("spiffe://shop/orders".try_into().unwrap()));
    });
    let former = clients.leaf("orders.shop", expired);
    let stranger = Authority::new().leaf("orders.shop", |_| {});
    let ca = [("TLS_CLIENT_CA", clients.pem.as_str())];
    let (_process, address) = process(folder.path(), &ours, &ca);
    let showing = |leaf: Option<&Leaf>, address: &str| {
        ClientOf { shows: leaf, ..ClientOf::new(&authority) }.get(address, "/peer")
    };
    let known = "127.0.0.1 true Some((Some(\"spiffe://shop/orders\"), [\"orders.shop\"]))";
    assert_eq!(showing(Some(&orders), &address).unwrap().text(), known);
    for wrong in [None, Some(&former), Some(&stranger)] {
        assert!(showing(wrong, &address).is_err());
    }
    let optional = [ca[0], ("TLS_CLIENT_AUTH", "optional")];
    let (_process, address) = process(folder.path(), &ours, &optional);
    assert_eq!(showing(None, &address).unwrap().text(), "127.0.0.1 true None");
    assert_eq!(showing(Some(&orders), &address).unwrap().text(), known);
    assert!(showing(Some(&stranger), &address).is_err());
}
