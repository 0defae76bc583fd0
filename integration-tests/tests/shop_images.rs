//! The images of the shop, read and run by tools that are not ours. It compiles the shop once
//! more, with the settings of images, which takes minutes: it runs when it is asked for,
//! `cargo nextest run -p integration-tests --test shop_images --run-ignored only`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{Running, TestSystem, eventually, free_port, http, repository, said};
use rustix::process::Signal;
use serde_json::{Value, json};

const READY_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// What an image may have beside the program and its libraries, in parts of both: 1 %.
const BESIDE: u64 = 100;

/// The images of all services in one layout.
struct Images<'a> {
    system: &'a TestSystem,
    layout: PathBuf,
}

impl Images<'_> {
    /// Unpacks a service; gives the folder of the bundle.
    fn unpack(&self, service: &str) -> Result<PathBuf> {
        let image = format!("{}:{service}", self.layout.display());
        said("umoci", &["unpack", "--image", &image, service], self.system.root())?;
        Ok(self.system.root().join(service))
    }

    /// Starts a bundle in the network of this machine, with the folder `data` of its own.
    fn run(&self, bundle: &Path, run: &Run<'_>) -> Result<Running<'_>> {
        let config = bundle.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&config)?)?;
        spec["process"]["terminal"] = Value::Bool(false);
        // This machine may not raise limits.
        spec["process"]["rlimits"] = json!([]);
        if let Some(words) = run.words {
            spec["process"]["args"] = json!(words);
        }
        let environment = spec["process"]["env"].as_array_mut().context("no environment")?;
        environment
            .extend(run.environment.iter().map(|(name, value)| format!("{name}={value}").into()));
        let namespaces = spec["linux"]["namespaces"].as_array_mut().context("no namespaces")?;
        namespaces.retain(|namespace| namespace["type"] != "network");
        let data = self.system.root().join("data");
        fs::create_dir_all(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o777))?;
        let mount = json!({ "destination": "/data", "type": "bind", "source": data, "options": ["rbind", "rw"] });
        spec["mounts"].as_array_mut().context("no mounts")?.push(mount);
        fs::write(&config, spec.to_string())?;
        let mut runc = self.system.bare("runc");
        let name = format!("updraft-{}-{}", std::process::id(), run.name);
        let root = self.system.root().join("containers");
        runc.arg("--root").arg(root).args(["run", "-b"]).arg(bundle).arg(name);
        Running::start(self.system, runc)
    }
}

/// What is run of a bundle.
struct Run<'r> {
    name: &'r str,
    /// In place of the image's own command.
    words: Option<&'r [&'r str]>,
    environment: Vec<(&'r str, String)>,
}

fn size_of_files(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.path().symlink_metadata()?;
        size += if metadata.is_dir() { size_of_files(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

/// The program without symbols and the libraries that the loader finds for it here.
fn program_and_libraries(program: &Path) -> Result<u64> {
    let shown = said("ldd", &[&program.display().to_string()], Path::new("/"))?;
    let libraries = shown.split_whitespace().filter(|word| word.starts_with('/'));
    let mut size = 0;
    for library in libraries {
        size += fs::metadata(library)?.len();
    }
    let stripped = tempfile::NamedTempFile::new()?;
    let to = stripped.path().display().to_string();
    said("strip", &["-o", &to, &program.display().to_string()], Path::new("/"))?;
    Ok(size + fs::metadata(stripped.path())?.len())
}

#[test]
#[ignore = "compiles the shop with the settings of images: minutes"]
fn each_service_of_the_shop_is_small_and_answers_under_a_runtime_that_is_not_ours() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    let images = Images { layout: system.root().join("layout"), system: &system };
    let built = system.ok(&["build", "--oci", &images.layout.display().to_string()])?;
    for service in ["orders", "pricing", "storefront"] {
        let image = format!("oci:{}:{service}", images.layout.display());
        let inspected = said("skopeo", &["inspect", &image], system.root())?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        let digest = inspected["Digest"].as_str().context("no digest")?;
        ensure!(built.stdout.contains(&format!("{service} {digest}")), "{}", built.stdout);
    }

    let (orders, pricing, storefront) =
        (images.unpack("orders")?, images.unpack("pricing")?, images.unpack("storefront")?);
    for (bundle, program) in [(&orders, "orders"), (&storefront, "storefront")] {
        let root = bundle.join("rootfs");
        let (image, least) =
            (size_of_files(&root)?, program_and_libraries(&root.join("app/bin").join(program))?);
        println!("{program}: {image} bytes, of which program and libraries {least}");
        ensure!(least <= image && image - least <= least / BESIDE, "{program}: {image} {least}");
    }

    let ports = [free_port()?, free_port()?, free_port()?];
    let url = |at: usize| format!("http://127.0.0.1:{}", ports[at]);
    let database = || ("DB_URL", "sqlite:/data/orders.db".to_owned());
    let jobs = || ("JOBS_URL", "sqlite:/data/orders.db?queue=jobs".to_owned());
    let migrate = Run {
        name: "migrate",
        words: Some(&["orders", "migrate"]),
        environment: vec![database(), jobs()],
    };
    let status = images.run(&orders, &migrate)?.ended(READY_WITHIN)?;
    ensure!(status.success(), "{status}");

    let at = |port: u16| ("PORT", port.to_string());
    let orders = Run {
        name: "orders",
        words: Some(&["orders", "web"]),
        environment: vec![at(ports[0]), database(), jobs()],
    };
    let pricing_run = Run { name: "pricing", words: None, environment: vec![at(ports[1])] };
    let storefront_run = Run {
        name: "storefront",
        words: None,
        environment: vec![at(ports[2]), ("ORDERS_URL", url(0)), ("PRICING_URL", url(1))],
    };
    let mut running = [
        images.run(&system.root().join("orders"), &orders)?,
        images.run(&pricing, &pricing_run)?,
        images.run(&storefront, &storefront_run)?,
    ];
    for (at, running) in running.iter().enumerate() {
        let ready =
            || Ok(http::get(&format!("{}/readyz", url(at))).is_ok_and(|it| it.status == 200));
        eventually("it is ready", READY_WITHIN, ready)
            .with_context(|| running.said().unwrap_or_default())?;
    }
    let products = http::get(&format!("{}/api/products", url(2)))?.json()?;
    ensure!(products["degraded"] == false, "{products}");
    let order = json!({ "sku": "KITE", "quantity": 1 });
    let made = http::post(&format!("{}/api/orders", url(2)), &[], &order)?;
    ensure!(made.status == 201, "{made:?}");
    let listed = http::get(&format!("{}/api/orders", url(2)))?.json()?;
    ensure!(listed["orders"][0]["sku"] == "KITE", "{listed}");

    // The first process of a container ends on SIGTERM, and with 0.
    for running in &mut running {
        running.signal(Signal::TERM)?;
        let status = running.ended(ENDS_WITHIN)?;
        ensure!(status.success(), "{status} {}", running.said()?);
    }
    Ok(())
}
