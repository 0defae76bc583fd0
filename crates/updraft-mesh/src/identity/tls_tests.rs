//! Handshakes over real sockets: who is taken, who is refused, and rotation under way.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use rustls::server::ServerConfig;
use rustls::{HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use updraft_system::Name;

use super::*;
use crate::identity::authority::{Authority, OVERLAP};
use crate::identity::bundle::{Trust, TrustBundle};
use crate::identity::clock::WallClock;
use crate::identity::forge::{Forge, Forged, self_signed, sound};
use crate::identity::issuer::LocalIssuer;

/// 2027.
const START: u64 = 1_800_000_000;

/// A system with an authority, and a clock that stands still until it is moved.
struct Rig {
    issuer: LocalIssuer,
    trust: Arc<Trust>,
    clock: WallClock,
    seconds: Arc<AtomicU64>,
    denied: Arc<Denied>,
}

/// What one end saw: its peer and the kind of handshake.
type Seen =
    Result<(Peer, Option<HandshakeKind>, Vec<u8>), Box<dyn std::error::Error + Send + Sync>>;

fn id(service: &str) -> SpiffeId {
    SpiffeId::new("shop".parse().unwrap(), service.parse().unwrap())
}

impl Rig {
    fn new() -> Self {
        let seconds = Arc::new(AtomicU64::new(START));
        let clock = WallClock::Manual(Arc::clone(&seconds));
        let authority = Authority::create("shop".parse().unwrap(), clock.now()).unwrap();
        Self {
            issuer: LocalIssuer::new(authority, clock.clone()),
            trust: Arc::new(Trust::new("shop".parse().unwrap())),
            clock,
            seconds,
            denied: Arc::new(ArcSwap::default()),
        }
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn workload(&self, service: &str) -> Arc<Workload> {
        let trust = Arc::clone(&self.trust);
        let workload = Arc::new(Workload::new(id(service), trust, self.clock.clone()));
        workload.renew(&self.issuer).await.unwrap();
        workload
    }

    /// The forge is trusted as the authority is, so that only the other rules hold it back.
    fn trust_also(&self, forge: &Forge) {
        let TrustBundle { sequence, mut roots } = self.issuer.with(|authority| authority.bundle());
        roots.push(forge.root.clone());
        assert!(self.trust.update(TrustBundle { sequence: sequence + 1, roots }).unwrap());
    }

    fn server(&self, services: &[&Arc<Workload>]) -> Arc<ServerConfig> {
        let services: Vec<_> = services.iter().map(|service| Arc::clone(service)).collect();
        server_config(&services, &self.denied, &[Alpn::H2, Alpn::Tcp]).unwrap()
    }

    fn client(&self, caller: &Arc<Workload>, expected: &str) -> Arc<ClientConfig> {
        client_config(caller, id(expected), &self.denied, &[Alpn::H2]).unwrap()
    }
}

/// One connection over a real socket, with a byte there and back, as a client of TLS 1.3
/// learns only then that it was refused. The server first.
async fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, sni: &str) -> (Seen, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::clone(server));
    let serve = async {
        let stream = listener.accept().await?.0;
        let mut stream = acceptor.accept(stream).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.shutdown().await?;
        seen(stream.get_ref().1)
    };
    let connector = TlsConnector::from(Arc::clone(client));
    let name = ServerName::try_from(sni.to_owned()).unwrap();
    let call = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = connector.connect(name, stream).await?;
        stream.write_u8(7).await?;
        assert_eq!(stream.read_u8().await?, 7);
        seen(stream.get_ref().1)
    };
    tokio::join!(serve, call)
}

fn seen(connection: &CommonState) -> Seen {
    let peer = Peer::of(connection)?;
    let leaf = connection.peer_certificates().map(|chain| chain[0].to_vec()).unwrap();
    Ok((peer, connection.handshake_kind(), leaf))
}

fn refused(seen: &Seen, word: &str) {
    let error = seen.as_ref().expect_err("the peer has to be refused");
    let text = format!("{error} {error:?}");
    assert!(text.contains(word), "{text} does not tell of {word}");
}

/// A client without our rules: any server will do.
fn rogue(forged: Option<&Forged>) -> Arc<ClientConfig> {
    #[derive(Debug)]
    struct Anyone;
    impl rustls::client::danger::ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SCHEME]
        }
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    let mut config = match forged {
        Some(forged) => builder.with_client_auth_cert(forged.chain.clone(), forged.key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = Alpn::names(&[Alpn::H2]);
    Arc::new(config)
}

/// A server without our rules, which wants no certificate.
fn impostor(forged: &Forged) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(forged.chain.clone(), forged.key())
        .unwrap();
    config.alpn_protocols = Alpn::names(&[Alpn::H2]);
    Arc::new(config)
}

#[tokio::test]
async fn both_ends_know_who_the_other_is_and_until_when() {
    let rig = Rig::new();
    let (cart, pricing) = (rig.workload("cart").await, rig.workload("pricing").await);
    let (server, client) =
        shake(&rig.server(&[&pricing]), &rig.client(&cart, "pricing"), &id("pricing").sni()).await;
    let not_after = UnixTime::since_unix_epoch(std::time::Duration::from_secs(START + 3600));
    let (caller, callee) = (server.unwrap().0, client.unwrap().0);
    assert_eq!(caller, Peer { id: id("cart"), not_after, alpn: Alpn::H2 });
    assert_eq!(callee, Peer { id: id("pricing"), not_after, alpn: Alpn::H2 });
}

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let rig = Rig::new();
    let (cart, pricing, mail) =
        (rig.workload("cart").await, rig.workload("pricing").await, rig.workload("mail").await);
    let server = rig.server(&[&pricing, &mail]);
    for service in ["pricing", "mail"] {
        let sni = id(service).sni();
        let (_, client) = shake(&server, &rig.client(&cart, service), &sni).await;
        assert_eq!(client.unwrap().0.id, id(service));
        let (_, capitals) = shake(&server, &rig.client(&cart, service), &sni.to_uppercase()).await;
        assert_eq!(capitals.unwrap().0.id, id(service));
    }
    let (_, other) = shake(&server, &rig.client(&cart, "pricing"), &id("mail").sni()).await;
    refused(&other, "Unexpected");
    for unknown in
        ["db.shop.updraft.internal", "pricing.bank.updraft.internal", "pricing", "127.0.0.1"]
    {
        let (server, client) = shake(&server, &rig.client(&cart, "pricing"), unknown).await;
        assert!(server.is_err() && client.is_err(), "{unknown}");
    }
}

#[tokio::test]
async fn a_client_that_breaks_a_rule_is_refused() {
    let rig = Rig::new();
    let pricing = rig.workload("pricing").await;
    let (forge, stranger) = (Forge::new(), Forge::new());
    rig.trust_also(&forge);
    let server = rig.server(&[&pricing]);
    let sni = id("pricing").sni();
    let cart = || sound("spiffe://shop/cart");
    let (good, _) = shake(&server, &rogue(Some(&forge.sign(&cart()))), &sni).await;
    assert_eq!(good.unwrap().0.id, id("cart"), "the forge itself is trusted");

    let changed = |change: fn(&mut rcgen::CertificateParams)| {
        let mut params = cart();
        change(&mut params);
        Some(forge.sign(&params))
    };
    let uri = |text: &str| rcgen::SanType::URI(text.try_into().unwrap());
    let mut two = cart();
    two.subject_alt_names.push(uri("spiffe://shop/root"));
    let cases: Vec<(Option<Forged>, &str)> = vec![
        (None, "NoCertificatesPresented"),
        (Some(stranger.sign(&cart())), "UnknownIssuer"),
        (Some(self_signed(&cart())), "UnknownIssuer"),
        (Some(forge.sign(&sound("spiffe://bank/cart"))), "System("),
        (Some(forge.sign(&sound("spiffe://shop/a/b"))), "InvalidSpiffeId"),
        (Some(forge.sign(&two)), "Uris(2)"),
        (changed(|params| params.not_after = rcgen::date_time_ymd(2026, 6, 1)), "Expired"),
        (changed(|params| params.not_before = rcgen::date_time_ymd(2029, 1, 1)), "NotValidYet"),
        (
            changed(|params| {
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            }),
            "Authority",
        ),
        (changed(|params| params.key_usages.clear()), "KeyUsage"),
        (
            changed(|params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            }),
            "InvalidPurpose",
        ),
    ];
    for (forged, word) in cases {
        let (seen, client) = shake(&server, &rogue(forged.as_ref()), &sni).await;
        refused(&seen, word);
        assert!(client.is_err(), "{word}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_a_rule_is_refused() {
    let rig = Rig::new();
    let cart = rig.workload("cart").await;
    let (forge, stranger) = (Forge::new(), Forge::new());
    rig.trust_also(&forge);
    let client = rig.client(&cart, "pricing");
    let sni = id("pricing").sni();
    let pricing = sound("spiffe://shop/pricing");
    let (_, good) = shake(&impostor(&forge.sign(&pricing)), &client, &sni).await;
    // It wants no certificate, so it knows nobody; the client is content with it.
    assert_eq!(good.unwrap().0.id, id("pricing"));

    let mut expired = pricing.clone();
    expired.not_after = rcgen::date_time_ymd(2026, 6, 1);
    let mut client_only = pricing.clone();
    client_only.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let cases = [
        (forge.sign(&sound("spiffe://shop/mail")), "Unexpected"),
        (forge.sign(&sound("spiffe://bank/pricing")), "System("),
        (stranger.sign(&pricing), "UnknownIssuer"),
        (self_signed(&pricing), "UnknownIssuer"),
        (forge.sign(&expired), "Expired"),
        (forge.sign(&client_only), "InvalidPurpose"),
    ];
    for (forged, word) in cases {
        let (_, seen) = shake(&impostor(&forged), &client, &sni).await;
        refused(&seen, word);
    }
}

#[tokio::test]
async fn a_certificate_is_neither_served_nor_taken_after_its_end() {
    let rig = Rig::new();
    let pricing = rig.workload("pricing").await;
    // The clock of this one stands still: it serves what has long ended.
    let late = WallClock::Manual(Arc::new(AtomicU64::new(START)));
    let cart = Arc::new(Workload::new(id("cart"), Arc::clone(&rig.trust), late));
    cart.renew(&rig.issuer).await.unwrap();
    let (server, client) = (rig.server(&[&pricing]), rig.client(&cart, "pricing"));
    let sni = id("pricing").sni();
    rig.pass(3599);
    assert!(shake(&server, &client, &sni).await.0.is_ok());
    rig.pass(2);
    assert!(pricing.certified().is_none());
    let (_, seen) = shake(&server, &client, &sni).await;
    assert!(seen.is_err(), "the server has nothing to serve");
    pricing.renew(&rig.issuer).await.unwrap();
    let (seen, _) = shake(&server, &client, &sni).await;
    refused(&seen, "Expired");
}

#[tokio::test]
async fn nobody_is_trusted_before_the_first_bundle() {
    let (rig, empty) = (Rig::new(), Arc::new(Trust::new("shop".parse().unwrap())));
    let pricing = Arc::new(Workload::new(id("pricing"), empty, rig.clock.clone()));
    let cart = rig.workload("cart").await;
    let server = rig.server(&[&pricing]);
    let (seen, _) = shake(&server, &rig.client(&cart, "pricing"), &id("pricing").sni()).await;
    assert!(seen.is_err());
}

#[tokio::test]
async fn older_tls_and_other_protocols_are_refused() {
    let rig = Rig::new();
    let (cart, pricing) = (rig.workload("cart").await, rig.workload("pricing").await);
    let (server, sni) = (rig.server(&[&pricing]), id("pricing").sni());
    let older =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
    let (seen, _) = shake(&server, &Arc::new(older), &sni).await;
    refused(&seen, "Tls12NotOfferedOrEnabled");

    let other = client_config(&cart, id("pricing"), &rig.denied, &[Alpn::Http1]).unwrap();
    let (seen, _) = shake(&server, &other, &sni).await;
    refused(&seen, "NoApplicationProtocol");
    let none = client_config(&cart, id("pricing"), &rig.denied, &[]).unwrap();
    let (seen, _) = shake(&server, &none, &sni).await;
    refused(&seen, "NoProtocol");
    let tcp = client_config(&cart, id("pricing"), &rig.denied, &[Alpn::Tcp]).unwrap();
    assert_eq!(shake(&server, &tcp, &sni).await.0.unwrap().0.alpn, Alpn::Tcp);
}

#[tokio::test]
async fn every_handshake_is_full_and_checks_the_client_again() {
    let rig = Rig::new();
    let (cart, pricing) = (rig.workload("cart").await, rig.workload("pricing").await);
    let forge = Forge::new();
    rig.trust_also(&forge);
    let server = rig.server(&[&pricing]);
    let sni = id("pricing").sni();
    // This client would resume if it could.
    let eager = rogue(Some(&forge.sign(&sound("spiffe://shop/cart"))));
    for client in [rig.client(&cart, "pricing"), eager] {
        for _ in 0..3 {
            let (server, client) = shake(&server, &client, &sni).await;
            let full = |seen: Seen| {
                use HandshakeKind::{Full, FullWithHelloRetryRequest};
                matches!(seen.unwrap().1, Some(Full | FullWithHelloRetryRequest))
            };
            assert!(full(server) && full(client));
        }
        rig.denied.store(Arc::new(BTreeSet::from(["cart".parse::<Name>().unwrap()])));
        let (seen, _) = shake(&server, &client, &sni).await;
        refused(&seen, "Denied(");
        rig.denied.store(Arc::default());
        assert!(shake(&server, &client, &sni).await.0.is_ok(), "allowed again");
    }
}

#[tokio::test]
async fn a_server_that_would_resume_is_not_resumed() {
    let rig = Rig::new();
    let (cart, forge) = (rig.workload("cart").await, Forge::new());
    rig.trust_also(&forge);
    let server = impostor(&forge.sign(&sound("spiffe://shop/pricing")));
    let client = rig.client(&cart, "pricing");
    for _ in 0..3 {
        let (_, seen) = shake(&server, &client, &id("pricing").sni()).await;
        assert_eq!(seen.unwrap().1, Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_denied_server_is_not_called() {
    let rig = Rig::new();
    let (cart, pricing) = (rig.workload("cart").await, rig.workload("pricing").await);
    let open = Arc::new(Denied::default());
    let server = server_config(&[pricing], &open, &[Alpn::H2]).unwrap();
    rig.denied.store(Arc::new(BTreeSet::from(["pricing".parse::<Name>().unwrap()])));
    let (_, seen) = shake(&server, &rig.client(&cart, "pricing"), &id("pricing").sni()).await;
    refused(&seen, "Denied(");
}

/// Leafs are renewed and the root is replaced while two callers shake hands without a pause.
#[tokio::test]
async fn no_handshake_fails_while_leafs_and_root_are_rotated() {
    let rig = Arc::new(Rig::new());
    let (cart, pricing) = (rig.workload("cart").await, rig.workload("pricing").await);
    let (server, client) = (rig.server(&[&pricing]), rig.client(&cart, "pricing"));
    let (count, mut counted) = watch::channel(0_u32);
    let leafs = std::sync::Mutex::new(BTreeSet::new());
    let call = async || loop {
        let (seen, other) = shake(&server, &client, &id("pricing").sni()).await;
        seen.expect("the server takes the client");
        let leaf = other.expect("the client takes the server").2;
        leafs.lock().unwrap().insert(leaf);
        count.send_modify(|count| *count += 1);
    };
    let first_root = rig.issuer.with(|authority| authority.bundle().roots[0].clone());
    let rotate = async {
        rig.issuer.with(|authority| authority.rotate_root(rig.clock.now())).unwrap();
        // Two overlaps in steps of 5 minutes; each service renews every half hour, and not
        // at the same time.
        let steps = u32::try_from(OVERLAP.as_secs() * 5 / 2 / 300).unwrap();
        for step in 0..steps {
            rig.pass(300);
            rig.issuer.with(|authority| authority.tick(rig.clock.now())).unwrap();
            let renewing = match step % 6 {
                1 => Some(&cart),
                4 => Some(&pricing),
                _ => None,
            };
            if let Some(workload) = renewing {
                workload.renew(&rig.issuer).await.unwrap();
            }
            let enough = *counted.borrow() + 4;
            counted.wait_for(|count| enough <= *count).await.unwrap();
        }
    };
    tokio::select! {
        () = rotate => {}
        () = async { tokio::join!(call(), call()); } => {}
    }
    let bundle = rig.issuer.with(|authority| authority.bundle());
    assert!(bundle.roots.len() == 1 && bundle.roots[0] != first_root, "the root is another one");
    assert!(leafs.into_inner().unwrap().len() >= 5, "several leafs were served");
}
