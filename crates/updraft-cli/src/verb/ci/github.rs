//! Workflows of GitHub Actions, and of Forgejo Actions, which reads most of the same.

use super::pipeline::Pipeline;
use super::yaml::{Yaml, map, text, texts};

/// Longest time of a job; `check` bounds itself well below it.
const JOB_MINUTES: u32 = 60;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    GitHub,
    Forgejo,
}

/// An action, pinned by the hash of its commit, since tags can be moved.
struct Action {
    name: &'static str,
    commit: &'static str,
    version: &'static str,
}

const CHECKOUT: Action = Action {
    name: "actions/checkout",
    commit: "08c6903cd8c0fde910a37f88322edcfb5dd907a8",
    version: "v5.0.0",
};
const CACHE: Action = Action {
    name: "actions/cache",
    commit: "0057852bfaa89a56745cba8c7296529d2fc39830",
    version: "v4.3.0",
};
const UPLOAD: Action = Action {
    name: "actions/upload-artifact",
    commit: "ea165f8d65b6e75b540449e92b4886f43607fa02",
    version: "v4.6.2",
};

/// The workflow; `file` is its path in the repository, where that is not the usual one.
pub(super) fn workflow(pipeline: &Pipeline, dialect: Dialect, file: Option<&str>) -> Yaml {
    let branch = &pipeline.settings.branch;
    // Within an expression a quote is written twice.
    let main = format!("refs/heads/{}", branch.replace('\'', "''"));
    let on = map([("push", map([("branches", texts([branch]))])), ("pull_request", Yaml::Empty)]);
    let concurrency = map([
        ("group", text("${{ github.workflow }}-${{ github.ref }}")),
        // What is pushed or released goes on to its end.
        ("cancel-in-progress", text(format!("${{{{ github.ref != '{main}' }}}}"))),
    ]);
    let writer = Writer { pipeline, dialect, file };
    let mut jobs = map([
        ("generated", writer.generated()),
        ("check", writer.check()),
        ("build", writer.build()),
    ]);
    if let Some(label) = &pipeline.settings.release_on {
        jobs = jobs.with("release", writer.release(label, &main));
    }
    map([
        ("name", text("updraft")),
        ("on", on),
        ("permissions", map([("contents", text("read"))])),
        ("concurrency", concurrency),
        ("jobs", jobs),
    ])
}

struct Writer<'a> {
    pipeline: &'a Pipeline,
    dialect: Dialect,
    file: Option<&'a str>,
}

impl Writer<'_> {
    fn forge(&self) -> &'static str {
        match self.dialect {
            Dialect::GitHub => "github",
            Dialect::Forgejo => "forgejo",
        }
    }

    /// This file is what the command writes now.
    fn generated(&self) -> Yaml {
        let call = self.pipeline.call_itself(self.forge(), self.file);
        let steps = vec![run("This file is current", &call)];
        self.job(None, false, steps)
    }

    fn check(&self) -> Yaml {
        let name = "Twelve factors";
        let format: &[&str] = match self.dialect {
            Dialect::GitHub => &["--format", "sarif", "--output", "\"$SERVICE.sarif\""],
            // Nobody reads reports of a forge that shows none; the log is for people.
            Dialect::Forgejo => &[],
        };
        let call = self.pipeline.call(&[&["check", "\"$SERVICE\""], format].concat());
        let mut steps = vec![run(name, &call).with("env", service())];
        if self.dialect == Dialect::GitHub {
            let with = map([
                ("name", text("check-${{ matrix.service }}")),
                ("path", text("${{ matrix.service }}.sarif")),
                ("if-no-files-found", text("error")),
            ]);
            // Above all when something was found.
            let upload = self.uses(&UPLOAD).with("if", text("${{ !cancelled() }}"));
            steps.push(upload.with("with", with));
        }
        self.job(Some("generated"), true, steps)
    }

    fn build(&self) -> Yaml {
        let mut steps = Vec::new();
        let build = self.pipeline.call(&["build", "\"$SERVICE\""]);
        match &self.pipeline.settings.push {
            None => steps.push(run("Build", &build).with("env", service())),
            Some(registry) => {
                let pushes = "github.event_name == 'push'";
                let only = run("Build", &build);
                steps.push(
                    only.with("if", text("${{ github.event_name != 'push' }}"))
                        .with("env", service()),
                );
                let reference = format!("\"{registry}/$SERVICE:$GITHUB_SHA\"");
                let push = self.pipeline.call(&["build", "\"$SERVICE\"", "--push", &reference]);
                // The credentials are a file for this step alone, in the form of
                // containers-auth.json(5), and no word of any command.
                let lines = [
                    "(umask 077; printf '%s' \"$REGISTRY_AUTH\" > \"$RUNNER_TEMP/auth.json\")",
                    "export REGISTRY_AUTH_FILE=\"$RUNNER_TEMP/auth.json\"",
                    "unset REGISTRY_AUTH",
                    &push,
                ];
                let lines = Yaml::Lines(lines.map(str::to_owned).into());
                let env = service().with("REGISTRY_AUTH", text("${{ secrets.REGISTRY_AUTH }}"));
                steps.push(map([
                    ("name", text("Build and push")),
                    ("if", text(format!("${{{{ {pushes} }}}}"))),
                    ("env", env),
                    ("run", lines),
                ]));
            }
        }
        self.job(Some("check"), true, steps)
    }

    fn release(&self, label: &str, main: &str) -> Yaml {
        let condition = format!("${{{{ github.event_name == 'push' && github.ref == '{main}' }}}}");
        // One after another, and none cut off in the middle.
        let alone =
            map([("group", text("updraft-release")), ("cancel-in-progress", Yaml::Truth(false))]);
        let steps = vec![self.checkout(), run("Release", &self.pipeline.call(&["release"]))];
        map([
            ("needs", text("build")),
            ("if", text(condition)),
            ("runs-on", text(label)),
            ("timeout-minutes", Yaml::Number(JOB_MINUTES)),
            ("environment", text("release")),
            ("concurrency", alone),
            ("steps", Yaml::List(steps)),
        ])
    }

    /// A job on the usual runner, with the command at hand; of each service one, where it is
    /// about services.
    fn job(&self, needs: Option<&str>, of_services: bool, own: Vec<Yaml>) -> Yaml {
        let settings = &self.pipeline.settings;
        let usual = if self.dialect == Dialect::GitHub { "ubuntu-latest" } else { "docker" };
        let mut job = needs.map_or(map([]), |needs| map([("needs", text(needs))]));
        job = job.with("runs-on", text(settings.runner.as_deref().unwrap_or(usual)));
        if let Some(image) = &settings.image {
            job = job.with("container", map([("image", text(image))]));
        }
        job = job.with("timeout-minutes", Yaml::Number(JOB_MINUTES));
        if of_services {
            job = job.with("strategy", self.matrix());
        }
        let caches = if of_services { self.caches() } else { None };
        let install = settings.install.iter().map(|command| run("Install updraft", command));
        let steps = [self.checkout()].into_iter().chain(caches).chain(install).chain(own);
        job.with("steps", Yaml::List(steps.collect()))
    }

    /// One job for each service; all of them are looked at, also when one fails.
    fn matrix(&self) -> Yaml {
        let services = map([("service", texts(&self.pipeline.services))]);
        map([("fail-fast", Yaml::Truth(false)), ("matrix", services)])
    }

    fn checkout(&self) -> Yaml {
        // No step needs the token, so none has it.
        let with = map([("persist-credentials", Yaml::Truth(false))]);
        self.uses(&CHECKOUT).with("with", with)
    }

    fn caches(&self) -> Option<Yaml> {
        let (folders, locks) = self.pipeline.caches.folders();
        if folders.is_empty() {
            return None;
        }
        let locks: Vec<_> = locks.iter().map(|lock| format!("'**/{lock}'")).collect();
        let key =
            format!("updraft-${{{{ runner.os }}}}-${{{{ hashFiles({}) }}}}", locks.join(", "));
        let folders = folders.iter().map(|folder| format!("~/{folder}")).collect();
        let with = map([
            ("path", Yaml::Lines(folders)),
            ("key", text(key)),
            ("restore-keys", text("updraft-${{ runner.os }}-")),
        ]);
        Some(self.uses(&CACHE).with("with", with))
    }

    fn uses(&self, action: &Action) -> Yaml {
        let Action { name, commit, version } = action;
        let from = match self.dialect {
            Dialect::GitHub => "",
            // Where a short name leads is up to each instance.
            Dialect::Forgejo => "https://data.forgejo.org/",
        };
        map([("uses", Yaml::Noted(format!("{from}{name}@{commit}"), version))])
    }
}

fn run(name: &str, command: &str) -> Yaml {
    map([("name", text(name)), ("run", text(command))])
}

/// By the environment, so that no name is ever a part of a script.
fn service() -> Yaml {
    map([("SERVICE", text("${{ matrix.service }}"))])
}
