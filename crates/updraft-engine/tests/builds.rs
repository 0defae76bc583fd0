//! Builds against the real Cargo and the real shell: what is built again and what is
//! not, what a failure tells, and that programs which run are left alone.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use updraft_engine::{
    BuildError, BuildRequest, BuildStep, Built, CommandPlan, Conditions, Exit, Progress,
    RunningBuild,
};
use updraft_system::mesh::{Protocol, Traffic};
use updraft_system::{Build, LogStream, Service};

/// A system of one service in the folder `shop`.
struct Yard {
    folder: TempDir,
    service: Service,
}

impl Yard {
    fn new(name: &str, build: Build) -> Self {
        let service = Service {
            name: name.parse().unwrap(),
            path: PathBuf::from("shop"),
            build,
            processes: BTreeMap::new(),
            tasks: BTreeMap::new(),
            needs: Vec::new(),
            after: Vec::new(),
            route: None,
            api: None,
            config: BTreeMap::new(),
            protocol: Protocol::default(),
            operations: BTreeMap::new(),
            calls: BTreeMap::new(),
            traffic: Traffic::default(),
            image: Default::default(),
        };
        let yard = Self { folder: tempfile::tempdir().unwrap(), service };
        fs::create_dir(yard.at("shop")).unwrap();
        yard
    }

    /// A package that prints its version, a number of its path dependency `price`, and
    /// the text of a file that belongs to neither.
    fn of_cargo(name: &str) -> Self {
        let yard = Self::new(name, Build::Cargo);
        yard.write(
            "shop/Cargo.toml",
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                 [dependencies]\nprice = {{ path = \"../price\" }}\n[workspace]\n"
            ),
        );
        yard.write(
            "price/Cargo.toml",
            "[package]\nname = \"price\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        );
        yard.write("price/src/lib.rs", "pub const PRICE: u32 = 1;");
        yard.write("motto.txt", "up");
        yard.program("one");
        yard
    }

    fn program(&self, version: &str) {
        let text = format!(
            "fn main() {{ println!(\"{version} {{}} {{}}\", price::PRICE, \
             include_str!(\"../../motto.txt\")); std::io::stdin().read_line(&mut String::new()).ok(); \
             println!(\"{version} ends\"); }}"
        );
        self.write("shop/src/main.rs", &text);
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn plan(&self) -> Result<BuildStep, BuildError> {
        let (directory, store) = (self.folder.path(), self.at("state/builds/shop"));
        let (store, conditions) = (&*store, &Conditions::default());
        BuildRequest { service: &self.service, directory, store, conditions }.plan()
    }

    /// Plans, runs what is to be run, and finishes.
    fn build(&self) -> Result<Built, BuildError> {
        match self.plan()? {
            BuildStep::Skip(built) => Ok(built),
            BuildStep::Run(mut running) => {
                let (exit, _) = run(&mut running);
                running.finish(exit)
            }
        }
    }

    fn built(&self) -> Built {
        self.build().unwrap_or_else(|problem| match problem {
            BuildError::Failed { output, .. } => panic!("{output}"),
            problem => panic!("{problem}: {problem:?}"),
        })
    }

    /// Builds and gives the first line that the program prints.
    fn says(&self) -> (bool, String) {
        let built = self.built();
        let output = Command::new(self.executable(&built)).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (built.skipped, text.lines().next().unwrap().to_owned())
    }

    fn executable(&self, built: &Built) -> PathBuf {
        built.path_prefix[0].join(self.service.name.as_str())
    }
}

/// Runs the command of a build to its end; shows it all lines.
fn run(running: &mut RunningBuild) -> (Exit, Vec<Progress>) {
    let CommandPlan { argv, env, cwd, confinement: _ } = running.command();
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).env_clear().envs(env).current_dir(cwd).stdin(Stdio::null());
    let output = command.output().unwrap();
    let mut progress = Vec::new();
    for (stream, bytes) in [(LogStream::Stderr, output.stderr), (LogStream::Stdout, output.stdout)]
    {
        let text = String::from_utf8(bytes).unwrap();
        progress.extend(text.lines().filter_map(|line| running.observe(stream, line)));
    }
    (Exit::Code(output.status.code().unwrap()), progress)
}

#[test]
fn cargo_builds_again_when_content_changed_and_not_otherwise() {
    let yard = Yard::of_cargo("content");
    assert_eq!(yard.says(), (false, "one 1 up".to_owned()));
    assert_eq!(yard.says(), (true, "one 1 up".to_owned()));

    let main = File::options().append(true).open(yard.at("shop/src/main.rs")).unwrap();
    main.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
    assert_eq!(yard.says(), (true, "one 1 up".to_owned()), "a touched file");
    main.set_modified(SystemTime::now()).unwrap();

    yard.program("two");
    assert_eq!(yard.says(), (false, "two 1 up".to_owned()), "the package itself");
    yard.write("price/src/lib.rs", "pub const PRICE: u32 = 2;");
    assert_eq!(yard.says(), (false, "two 2 up".to_owned()), "a path dependency");
    yard.write("motto.txt", "away");
    assert_eq!(yard.says(), (false, "two 2 away".to_owned()), "a file that belongs to no package");
    yard.write("shop/.cargo/config.toml", "[build]\nrustflags = [\"--cfg=any\"]\n");
    assert_eq!(yard.says(), (false, "two 2 away".to_owned()), "Cargo's configuration");
    assert_eq!(yard.says(), (true, "two 2 away".to_owned()));
}

#[test]
fn a_file_changed_during_the_build_is_built_next_time() {
    let yard = Yard::of_cargo("during");
    yard.built();
    yard.program("two");
    let BuildStep::Run(mut running) = yard.plan().unwrap() else { panic!("nothing to do") };
    let (exit, _) = run(&mut running);
    yard.program("three");
    running.finish(exit).unwrap();
    assert_eq!(yard.says(), (false, "three 1 up".to_owned()));
    assert_eq!(yard.says(), (true, "three 1 up".to_owned()));
}

#[test]
fn a_failed_build_tells_what_the_compiler_says_and_harms_nothing() {
    let yard = Yard::of_cargo("failing");
    let good = yard.built();
    yard.write("shop/src/main.rs", "fn main() { let x: u32 = \"text\"; }");
    let problem = yard.build().unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the build of service `failing` failed: `cargo build --release` ended with exit code 101"
    );
    let BuildError::Failed { output, .. } = problem else { panic!("{problem}") };
    assert!(output.contains("mismatched types") && output.contains("src/main.rs:1:"), "{output}");
    assert!(!output.contains("\"reason\""), "{output}");

    yard.program("one");
    assert_eq!(yard.built(), Built { skipped: true, ..good });
}

#[test]
fn progress_names_the_packages() {
    let yard = Yard::of_cargo("progress");
    let BuildStep::Run(mut running) = yard.plan().unwrap() else { panic!("nothing to do") };
    let (_, progress) = run(&mut running);
    let steps: Vec<&str> = progress
        .iter()
        .filter_map(|progress| match progress {
            Progress::Step { text, .. } => Some(text.as_str()),
            Progress::Line(_) => None,
        })
        .collect();
    assert!(steps.iter().any(|text| text.starts_with("Compiling price v0.1.0")), "{progress:?}");
    assert_eq!(steps.len(), progress.len(), "{progress:?}");
}

#[test]
fn a_program_that_runs_is_left_alone_by_later_builds() {
    let yard = Yard::of_cargo("running");
    let first = yard.built();
    let executable = yard.executable(&first);
    let mut child =
        Command::new(&executable).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one 1 up");
    let before = fs::read(&executable).unwrap();

    yard.program("two");
    yard.built();
    assert_eq!(fs::read(&executable).unwrap(), before, "the build before the last one is kept");
    yard.program("three");
    let third = yard.built();
    assert!(!executable.exists(), "older ones are not");
    assert!(yard.executable(&third).exists());

    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "one ends");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_damaged_program_is_made_again() {
    let yard = Yard::of_cargo("damaged");
    let executable = yard.executable(&yard.built());
    fs::write(&executable, "").unwrap();
    assert_eq!(yard.says(), (false, "one 1 up".to_owned()));
}

#[test]
fn a_lock_file_is_obeyed() {
    let yard = Yard::of_cargo("locked");
    yard.built();
    yard.write("other/src/lib.rs", "");
    yard.write(
        "other/Cargo.toml",
        "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    let manifest = fs::read_to_string(yard.at("shop/Cargo.toml")).unwrap();
    let manifest = manifest.replace("[workspace]", "other = { path = \"../other\" }\n[workspace]");
    yard.write("shop/Cargo.toml", &manifest);
    let BuildError::Failed { output, .. } = yard.build().unwrap_err() else { panic!("no failure") };
    assert!(output.contains("--locked"), "{output}");
}

#[test]
fn a_package_without_a_program_and_a_folder_without_a_package_are_told() {
    let yard = Yard::of_cargo("no-program");
    fs::remove_file(yard.at("shop/src/main.rs")).unwrap();
    yard.write("shop/src/lib.rs", "");
    let problem = yard.build().unwrap_err();
    assert!(matches!(problem, BuildError::NoProgram { .. }), "{problem}");

    let yard = Yard::new("nothing", Build::Cargo);
    let BuildError::Failed { output, .. } = yard.build().unwrap_err() else { panic!("no failure") };
    assert!(output.contains("could not find `Cargo.toml`"), "{output}");

    let yard = Yard::new("nowhere", Build::Cargo);
    fs::remove_dir(yard.at("shop")).unwrap();
    let problem = yard.build().unwrap_err();
    assert!(matches!(problem, BuildError::Folder { .. }), "{problem}");
}

fn command(run: &str, keep: &[&str]) -> Build {
    Build::Command {
        fetch: None,
        run: run.to_owned(),
        keep: keep.iter().map(PathBuf::from).collect(),
        reproducible: false,
    }
}

#[test]
fn a_command_runs_again_when_its_inputs_or_its_artefact_changed() {
    // It counts its runs outside of its folder.
    let build = command("mkdir -p dist; cp source.txt dist/; echo run >> ../runs", &["dist"]);
    let mut yard = Yard::new("pages", build);
    yard.write("shop/source.txt", "a");
    let runs = |yard: &Yard| {
        let built = yard.built();
        let runs = fs::read_to_string(yard.at("runs")).unwrap().lines().count();
        (built.skipped, runs)
    };
    assert_eq!(runs(&yard), (false, 1));
    assert_eq!(runs(&yard), (true, 1));
    yard.write("shop/source.txt", "b");
    assert_eq!(runs(&yard), (false, 2));
    fs::remove_dir_all(yard.at("shop/dist")).unwrap();
    assert_eq!(runs(&yard), (false, 3));
    yard.service.build = command("mkdir -p dist; echo run >> ../runs", &["dist"]);
    assert_eq!(runs(&yard), (false, 4));
    assert_eq!(runs(&yard), (true, 4));
}

#[test]
fn a_command_that_fails_or_makes_nothing_is_told_with_its_output() {
    let yard = Yard::new("pages", command("echo 'bad thing' >&2; exit 3", &[]));
    let problem = yard.build().unwrap_err();
    assert!(problem.to_string().ends_with("ended with exit code 3"), "{problem}");
    let BuildError::Failed { output, .. } = problem else { panic!("{problem}") };
    assert_eq!(output, "bad thing\n");

    let yard = Yard::new("pages", command("echo done", &["dist/index.html"]));
    for _ in 0..2 {
        let problem = yard.build().unwrap_err();
        assert!(problem.to_string().contains("`dist/index.html`"), "{problem}");
        let BuildError::NotKept { output, .. } = problem else { panic!("{problem}") };
        assert_eq!(output, "done\n");
    }
}

#[test]
fn where_the_source_is_the_artefact_nothing_is_done() {
    let yard = Yard::new("script", Build::None);
    let built = yard.built();
    assert_eq!(built, Built { path_prefix: Vec::new(), skipped: true, inputs: None });
    assert!(!Path::new(&yard.at("state")).exists());
}
