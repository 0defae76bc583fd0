//! Images: made by Updraft and by the container tools of Debian, of the same content, each until
//! there is an OCI layout on disk; and what it takes to check a digest.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, repository};
use tempfile::TempDir;
use updraft_image::Digesting;

use crate::report::{Row, Table};
use crate::statistics::{Sample, milliseconds};

const ROUNDS: usize = 5;
/// Files of the dependencies, and the bytes of each.
const DEPENDENCIES: (usize, usize) = (2_000, 8 * 1024);
/// What is checked, in bytes.
const CHECKED: u64 = 1 << 30;

const MANIFEST: &str = r#"
system = "bench"
[service.app]
path = "."
build = { run = "true", keep = ["program", "node_modules", "version.txt"] }
run = "./program"
image = { base = "scratch" }
"#;

/// In the order in which they change, as people write it.
const DOCKERFILE: &str = "FROM scratch\nCOPY node_modules /app/node_modules\n\
                          COPY program version.txt /app/\nWORKDIR /app\nCMD [\"/app/program\"]\n";

/// The tools of Debian that make images, with what they are called with.
const TOOLS: [(&str, &[&str]); 2] = [
    ("buildah", &["bud", "--isolation", "chroot", "--layers"]),
    ("podman", &["build", "--isolation", "chroot", "--layers"]),
];

pub(crate) fn versions() -> Result<Vec<String>> {
    let mut versions = vec![format!("updraft {}", env!("CARGO_PKG_VERSION"))];
    for (tool, _) in TOOLS {
        let output = Command::new(tool).arg("--version").output().with_context(|| {
            format!("{tool} cannot be started: `apt-get install --no-install-recommends {tool}`")
        })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = said.split_whitespace().find(|word| word.starts_with(char::is_numeric));
        versions.push(format!("{tool} {}", number.unwrap_or("of an unknown version")));
    }
    Ok(versions)
}

/// A whole image, one with a changed file, and a digest.
pub(crate) fn measure() -> Result<Vec<Table>> {
    let content = Content::make()?;
    let mut first = vec![content.floor(&["node_modules", "program", "version.txt"])?];
    let mut second = vec![content.floor(&["program", "version.txt"])?];
    let mut makers: Vec<Box<dyn Maker>> = vec![Box::new(Updraft { content: &content, run: None })];
    for (name, words) in TOOLS {
        makers.push(Box::new(Tool { name, words, content: &content, storage: None }));
    }
    for maker in &mut makers {
        let sample = Sample::take(ROUNDS, || {
            maker.forget()?;
            timed(|| maker.make())
        })?;
        first.push(Row { subject: maker.name(), sample, note: size(&maker.layout()?)? });
        let sample = Sample::take(ROUNDS, || {
            content.change()?;
            timed(|| maker.make())
        })?;
        second.push(Row { subject: maker.name(), sample, note: String::new() });
    }
    let (files, size) = DEPENDENCIES;
    let how = format!(
        "A static program of {:.0} MiB, {files} files of dependencies of {} KiB each and one small \
         file, from\nthe files until an OCI layout is on disk, with nothing kept from before; \
         beside each, the\nbytes that are there then. The floor is `tar | gzip` of the same files.",
        content.program_size as f64 / f64::from(1 << 20),
        size / 1024
    );
    let again = "The same, after a change of the small file. All keep the layer of the \
                 dependencies. The floor is `tar | gzip`\nof what is in the layer of the changed file."
        .to_owned();
    let table = |title, how, rows| Table { title, how, unit: "ms", less_is_better: true, rows };
    Ok(vec![
        table("An image of prebuilt files", how, first),
        table("The image after one changed file", again, second),
        digests()?,
    ])
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(milliseconds(began.elapsed()))
}

fn run(mut command: Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(())
}

/// The files, in the folder of a system.
struct Content {
    system: TestSystem,
    program_size: u64,
}

impl Content {
    fn make() -> Result<Self> {
        let system = TestSystem::new(MANIFEST)?.optimised()?;
        system.write("Dockerfile", DOCKERFILE)?;
        system.write("version.txt", "0\n")?;
        system.write("program.c", "int main(void) { return 0; }\n")?;
        let folder = system.directory();
        let program = folder.join("program");
        let mut compiler = Command::new("cc");
        compiler.args(["-static", "-o"]).arg(&program).arg(folder.join("program.c"));
        run(compiler)?;
        fs::remove_file(folder.join("program.c"))?;
        // Behind its end, where it disturbs nobody: what a program of this size consists of.
        let mut code = File::open(system.program())?;
        let program_size =
            std::io::copy(&mut code, &mut File::options().append(true).open(&program)?)?;
        let sources = fs::read(repository().join("Cargo.lock"))?;
        let (files, size) = DEPENDENCIES;
        for number in 0..files {
            let mut text = format!("// {number}\n").into_bytes();
            let lines = sources.iter().cycle().skip(number * 97 % sources.len());
            text.extend(lines.take(size - text.len()));
            let text = String::from_utf8_lossy(&text).into_owned();
            system.write(&format!("node_modules/package-{}/{number}.js", number % 100), &text)?;
        }
        Ok(Self { system, program_size })
    }

    /// Changes the small file, to what it never was before.
    fn change(&self) -> Result<()> {
        let file = self.system.directory().join("version.txt");
        let number: u64 = fs::read_to_string(&file)?.trim().parse()?;
        fs::write(file, format!("{}\n", number + 1))?;
        Ok(())
    }

    fn floor(&self, files: &[&str]) -> Result<Row> {
        let out = TempDir::new()?;
        let layer = out.path().join("layer");
        let sample = Sample::take(ROUNDS, || {
            let mut shell = Command::new("sh");
            let script = format!("tar -c {} | gzip -n > \"$OUT\"", files.join(" "));
            shell.args(["-c", &script]).env("OUT", &layer);
            shell.current_dir(self.system.directory());
            timed(|| run(shell))
        })?;
        Ok(Row { subject: "tar and gzip".to_owned(), sample, note: size(&layer)? })
    }
}

/// What a file or folder holds, in words.
fn size(path: &Path) -> Result<String> {
    let output = Command::new("du").args(["--bytes", "--summarize"]).arg(path).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes: f64 = text.split_whitespace().next().context("du says nothing")?.parse()?;
    Ok(format!("{:.1} MiB", bytes / f64::from(1 << 20)))
}

/// What makes an image of the content.
trait Maker {
    fn name(&self) -> String;
    /// Nothing of earlier images is kept.
    fn forget(&mut self) -> Result<()>;
    /// From the files to an OCI layout.
    fn make(&mut self) -> Result<()>;
    /// Where that is.
    fn layout(&self) -> Result<PathBuf>;
}

struct Updraft<'a> {
    content: &'a Content,
    run: Option<TempDir>,
}

impl Maker for Updraft<'_> {
    fn name(&self) -> String {
        "updraft build".to_owned()
    }

    fn forget(&mut self) -> Result<()> {
        self.run = Some(TempDir::new()?);
        Ok(())
    }

    fn make(&mut self) -> Result<()> {
        let place = self.run.as_ref().context("nothing to keep it in")?.path();
        let mut command = self.content.system.command()?;
        command.env("XDG_STATE_HOME", place.join("state"));
        command.args(["build", "app", "--oci"]).arg(place.join("layout"));
        run(command)
    }

    fn layout(&self) -> Result<PathBuf> {
        Ok(self.run.as_ref().context("nothing is kept")?.path().join("layout"))
    }
}

struct Tool<'a> {
    name: &'static str,
    words: &'static [&'static str],
    content: &'a Content,
    storage: Option<Storage>,
}

/// Where a tool keeps layers.
struct Storage {
    folder: TempDir,
    tool: &'static str,
}

impl Storage {
    fn command(&self) -> Command {
        let mut command = Command::new(self.tool);
        command.arg("--root").arg(self.path("root")).arg("--runroot").arg(self.path("run"));
        command.args(["--storage-driver", "overlay"]);
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // What it has mounted keeps the folder from being removed.
        let mut unmount = Command::new("umount");
        unmount.args(["--lazy", "--quiet"]).arg(self.path("root").join("overlay"));
        drop(unmount.output());
    }
}

impl Maker for Tool<'_> {
    fn name(&self) -> String {
        format!("{} {} and push", self.name, self.words.first().unwrap_or(&""))
    }

    fn forget(&mut self) -> Result<()> {
        self.storage = Some(Storage { folder: TempDir::new()?, tool: self.name });
        Ok(())
    }

    fn make(&mut self) -> Result<()> {
        let storage = self.storage.as_ref().context("nothing to keep it in")?;
        let mut build = storage.command();
        build.args(self.words).args(["-q", "-t", "app", "."]);
        build.current_dir(self.content.system.directory());
        run(build)?;
        let mut push = storage.command();
        push.args(["push", "-q", "app"])
            .arg(format!("oci:{}:app", storage.path("layout").display()));
        run(push)
    }

    fn layout(&self) -> Result<PathBuf> {
        Ok(self.storage.as_ref().context("nothing is kept")?.path("layout"))
    }
}

/// How long it takes to read a file and to know its digest.
fn digests() -> Result<Table> {
    let folder = TempDir::new()?;
    let file = folder.path().join("blob");
    let mut written = File::create(&file)?;
    let piece: Vec<u8> = (0..1_u32 << 18)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for _ in 0..CHECKED / piece.len() as u64 {
        written.write_all(&piece)?;
    }
    let by = |program: &str| -> Result<Row> {
        let sample = Sample::take(ROUNDS, || {
            let mut command = Command::new(program);
            let words: &[&str] = if program == "openssl" { &["dgst", "-sha256"] } else { &[] };
            command.args(words).arg(&file);
            timed(|| run(command))
        })?;
        Ok(Row { subject: program.to_owned(), sample, note: String::new() })
    };
    let own = Sample::take(ROUNDS, || timed(|| digest(&file)))?;
    Ok(Table {
        title: "The digest of 1 GiB",
        how: "SHA-256 of a file that is in memory already.".to_owned(),
        unit: "ms",
        less_is_better: true,
        rows: vec![
            by("openssl")?,
            Row { subject: "updraft".to_owned(), sample: own, note: String::new() },
            by("sha256sum")?,
        ],
    })
}

fn digest(file: &Path) -> Result<()> {
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut digesting = Digesting::default();
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digesting.update(buffer.get(..read).unwrap_or_default());
    }
    ensure!(digesting.finish().as_str().starts_with("sha256:"));
    Ok(())
}
