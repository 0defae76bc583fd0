//! One provider and what is done with it.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
};

use crate::measure::cpu;
use crate::providers::Signer;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Group = &'static dyn SupportedKxGroup;
type Configs = (Arc<ClientConfig>, Arc<ServerConfig>);

/// Handshakes of one round.
const HANDSHAKES: u32 = 100;
/// Records of one round.
const RECORDS: u32 = 2000;
/// Leafs of one round.
const LEAFS: u32 = 300;

/// A provider with an authority and one leaf, root → issuer → leaf as in the mesh.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    x25519: Configs,
    p256: Configs,
    hybrid: Option<Configs>,
    aes128: Configs,
    issuer: Issuer<'static, Signer>,
    leaf: CertificateParams,
    leaf_key: Signer,
}

impl Subject {
    /// All that is measured.
    pub(crate) const MEASURES: [&'static str; 11] = [
        "mutual handshake, X25519, client",
        "mutual handshake, X25519, server",
        "mutual handshake, P-256, client",
        "mutual handshake, P-256, server",
        "mutual handshake, X25519MLKEM768, client",
        "mutual handshake, X25519MLKEM768, server",
        "1 KiB record, AES-128-GCM, there",
        "16 KiB record, AES-128-GCM, there",
        "1 KiB record, AES-256-GCM, there",
        "16 KiB record, AES-256-GCM, there",
        "leaf signed",
    ];

    pub(crate) fn new(
        name: &'static str,
        provider: CryptoProvider,
        groups: &[Group],
        hybrid: Option<Group>,
        signer: fn() -> Result<Signer>,
    ) -> Result<Self> {
        let root_key = signer()?;
        let root_params = authority("root");
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root_params, root_key);
        let issuer_key = signer()?;
        let issuer_params = authority("issuer");
        let issuer_certificate = issuer_params.signed_by(&issuer_key, &root_issuer)?;
        let issuer = Issuer::new(issuer_params, issuer_key);
        let leaf_key = signer()?;
        let mut leaf = CertificateParams::new(["cart".to_owned()])?;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        let certificate = leaf.signed_by(&leaf_key, &issuer)?;
        let chain = [certificate.der().clone(), issuer_certificate.der().clone()];
        let make = |group: Group, suite: CipherSuite| {
            configs(&provider, group, suite, root.der(), &chain, &leaf_key)
        };
        let aes256 = CipherSuite::TLS13_AES_256_GCM_SHA384;
        Ok(Self {
            name,
            x25519: make(groups[0], aes256)?,
            p256: make(groups[1], aes256)?,
            hybrid: hybrid.map(|group| make(group, aes256)).transpose()?,
            aes128: make(groups[0], CipherSuite::TLS13_AES_128_GCM_SHA256)?,
            issuer,
            leaf,
            leaf_key,
        })
    }

    /// Microseconds of CPU time for one.
    pub(crate) fn measure(&self, name: &str) -> Result<Option<f64>> {
        let configs = match name {
            _ if name.contains("MLKEM") => match &self.hybrid {
                Some(configs) => configs,
                None => return Ok(None),
            },
            _ if name.contains("P-256") => &self.p256,
            _ if name.contains("AES-128") => &self.aes128,
            _ => &self.x25519,
        };
        match name {
            _ if name.ends_with("client") => handshakes(configs).map(|(client, _)| Some(client)),
            _ if name.ends_with("server") => handshakes(configs).map(|(_, server)| Some(server)),
            _ if name.starts_with("1 KiB") => records(configs, 1024).map(Some),
            _ if name.starts_with("16 KiB") => records(configs, 16 * 1024).map(Some),
            _ => self.leafs().map(Some),
        }
    }

    fn leafs(&self) -> Result<f64> {
        let start = cpu();
        for _ in 0..LEAFS {
            std::hint::black_box(self.leaf.signed_by(&self.leaf_key, &self.issuer)?);
        }
        Ok((cpu() - start).as_secs_f64() * 1e6 / f64::from(LEAFS))
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn configs(
    provider: &CryptoProvider,
    group: Group,
    suite: CipherSuite,
    root: &CertificateDer<'static>,
    chain: &[CertificateDer<'static>],
    key: &Signer,
) -> Result<Configs> {
    let mut provider = provider.clone();
    provider.kx_groups = vec![group];
    provider.cipher_suites.retain(|own| own.suite() == suite);
    let provider = Arc::new(provider);
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let roots = Arc::new(roots);
    let key = || PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8.clone()));
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.to_vec(), key())?;
    client.resumption = rustls::client::Resumption::disabled();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.to_vec(), key())?;
    server.send_tls13_tickets = 0;
    Ok((Arc::new(client), Arc::new(server)))
}

/// A new pair that has shaken hands, and the CPU time of the client and the server.
fn handshake(configs: &Configs) -> Result<(ClientConnection, ServerConnection, [f64; 2])> {
    let mut wire = Vec::with_capacity(8192);
    let mut spent = [0.0; 2];
    let mut mark = cpu();
    let mut client = ClientConnection::new(configs.0.clone(), ServerName::try_from("cart")?)?;
    spent[0] += lap(&mut mark);
    let mut server = ServerConnection::new(configs.1.clone())?;
    spent[1] += lap(&mut mark);
    while client.is_handshaking() || server.is_handshaking() {
        lap(&mut mark);
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        spent[0] += lap(&mut mark);
        feed(&mut wire, |bytes| {
            server.read_tls(bytes)?;
            server.process_new_packets()?;
            Ok(())
        })?;
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        spent[1] += lap(&mut mark);
        feed(&mut wire, |bytes| {
            client.read_tls(bytes)?;
            client.process_new_packets()?;
            Ok(())
        })?;
        spent[0] += lap(&mut mark);
    }
    Ok((client, server, spent))
}

fn feed(wire: &mut Vec<u8>, mut take: impl FnMut(&mut &[u8]) -> Result<()>) -> Result<()> {
    let mut rest = &wire[..];
    while !rest.is_empty() {
        take(&mut rest)?;
    }
    wire.clear();
    Ok(())
}

/// Microseconds since the mark, which moves to now.
fn lap(mark: &mut std::time::Duration) -> f64 {
    let now = cpu();
    let spent = now - *mark;
    *mark = now;
    spent.as_secs_f64() * 1e6
}

fn handshakes(configs: &Configs) -> Result<(f64, f64)> {
    let mut sum = [0.0; 2];
    for _ in 0..HANDSHAKES {
        let (_, _, spent) = handshake(configs)?;
        sum[0] += spent[0];
        sum[1] += spent[1];
    }
    Ok((sum[0] / f64::from(HANDSHAKES), sum[1] / f64::from(HANDSHAKES)))
}

/// One record sealed by the client and opened by the server.
fn records(configs: &Configs, size: usize) -> Result<f64> {
    let (mut client, mut server, _) = handshake(configs)?;
    let body = vec![7; size];
    let mut got = vec![0; size];
    let mut wire = Vec::with_capacity(2 * size);
    let start = cpu();
    for _ in 0..RECORDS {
        client.writer().write_all(&body)?;
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        feed(&mut wire, |bytes| {
            server.read_tls(bytes)?;
            server.process_new_packets()?;
            Ok(())
        })?;
        server.reader().read_exact(&mut got)?;
    }
    Ok((cpu() - start).as_secs_f64() * 1e6 / f64::from(RECORDS))
}
