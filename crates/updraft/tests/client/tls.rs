//! Calls over TLS, against a service that serves it: whom a client trusts, and who it says that
//! it is.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use updraft::testing::{Setup, TestApp, run};
use updraft::{App, CallError, Client, Service};

use super::process::Process;

/// A service that calls another one.
#[derive(App)]
struct Books {
    /// The service that is called
    ledger: Client,
}

fn service() -> Service<Books> {
    updraft::service!(Books)
}

/// An authority of certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of this name with its key, in PEM.
    fn leaf(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A running service with a certificate for `localhost`; gives its port too.
fn served(authority: &Authority, more: &[(&str, &str)]) -> (tokio::runtime::Runtime, Process, u16) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cert, key) = authority.leaf("localhost");
    let mut variables = vec![("TLS_CERT", cert.as_str()), ("TLS_KEY", key.as_str())];
    variables.extend_from_slice(more);
    let process = runtime.block_on(Process::start("specimen", &variables));
    let port = process.address.rsplit(':').next().unwrap().parse().unwrap();
    (runtime, process, port)
}

/// What a service with these variables is told by the one that it calls, or all that it knows of
/// why not.
fn called(variables: &[(&str, &str)]) -> Result<String, (CallError, String)> {
    let setup =
        variables.iter().fold(Setup::new(), |setup, (name, value)| setup.variable(*name, *value));
    let (sender, answer) = std::sync::mpsc::sync_channel(1);
    run(service, setup, async move |t: TestApp<Books>| {
        let answer = t.app().ledger.get("/peer").send().await;
        sender.send(answer).unwrap();
    });
    match answer.recv().unwrap() {
        Ok(reply) => Ok(String::from_utf8(reply.into_body().to_vec()).unwrap()),
        Err(error) => {
            let mut text = String::new();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(this) = cause {
                text.push_str(&format!("{this}\n"));
                cause = this.source();
            }
            Err((error, text))
        }
    }
}

#[track_caller]
fn refused(variables: &[(&str, &str)], why: &str) {
    let (error, text) = called(variables).unwrap_err();
    assert!(matches!(error, CallError::Connect(_)), "{text}");
    assert!(text.contains(why), "{text}");
}

#[test]
fn a_service_is_called_whose_certificate_is_of_its_name_and_of_whom_is_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_runtime, _process, port) = served(&authority, &[]);
    let localhost = format!("https://localhost:{port}");
    let trusts = [("LEDGER_URL", localhost.as_str()), ("LEDGER_CA", authority.pem.as_str())];
    assert_eq!(called(&trusts).unwrap(), "127.0.0.1 true None");

    let elsewhere = format!("https://127.0.0.1:{port}");
    refused(&[("LEDGER_URL", &elsewhere), trusts[1]], "not valid for name");
    refused(&[trusts[0], ("LEDGER_CA", &stranger.pem)], "invalid peer certificate");
    // The authorities of the system know nothing of it.
    refused(&[trusts[0]], "invalid peer certificate");
    // What is not encrypted is not spoken to.
    let plain = format!("http://localhost:{port}");
    let (error, text) = called(&[("LEDGER_URL", &plain)]).unwrap_err();
    assert!(matches!(error, CallError::Broken(_)), "{text}");
}

#[test]
fn a_client_shows_its_certificate_where_it_is_asked_for_one() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (_runtime, _process, port) = served(&authority, &[("TLS_CLIENT_CA", &clients.pem)]);
    let localhost = format!("https://localhost:{port}");
    let trusts = [("LEDGER_URL", localhost.as_str()), ("LEDGER_CA", authority.pem.as_str())];
    let showing = |(cert, key): (String, String)| {
        called(&[trusts[0], trusts[1], ("LEDGER_CERT", &cert), ("LEDGER_KEY", &key)])
    };
    let told = showing(clients.leaf("books.shop")).unwrap();
    assert_eq!(told, "127.0.0.1 true Some((None, [\"books.shop\"]))");
    called(&trusts).unwrap_err();
    showing(authority.leaf("books.shop")).unwrap_err();
}
