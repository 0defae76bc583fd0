//! Pipelines of GitLab CI/CD.

use super::pipeline::Pipeline;
use super::yaml::{Yaml, map, text, texts};

/// Longest time of a job.
const JOB_TIME: &str = "1 hour";
/// How long reports are kept.
const REPORTS_KEPT: &str = "4 weeks";

/// The pipeline; `file` is its path in the repository, where that is not the usual one.
pub(super) fn pipeline(pipeline: &Pipeline, file: Option<&str>) -> Yaml {
    let settings = &pipeline.settings;
    let branch = &settings.branch;
    let mut stages = vec!["generated", "check", "build"];
    stages.extend(settings.release_on.iter().map(|_| "release"));
    let mut root = map([
        ("stages", texts(&stages)),
        ("workflow", map([("rules", Yaml::List(when(branch)))])),
        ("default", defaults(pipeline)),
        ("generated", job("generated", vec![pipeline.call_itself("gitlab", file)])),
        ("check", check(pipeline)),
        ("build", build(pipeline)),
    ]);
    if let Some(label) = &settings.release_on {
        root = root.with("release", release(pipeline, label));
    }
    root
}

/// For merge requests and for the branch, and for no commit twice.
fn when(branch: &str) -> Vec<Yaml> {
    let is = |condition: String| map([("if", text(condition))]);
    let name = serde_json::Value::from(branch).to_string();
    vec![
        is("$CI_PIPELINE_SOURCE == \"merge_request_event\"".to_owned()),
        // What is pushed or released goes on to its end.
        is(format!("$CI_COMMIT_BRANCH == {name}"))
            .with("auto_cancel", map([("on_new_commit", text("none"))])),
    ]
}

fn defaults(pipeline: &Pipeline) -> Yaml {
    let settings = &pipeline.settings;
    let mut defaults = map([("timeout", text(JOB_TIME)), ("interruptible", Yaml::Truth(true))]);
    if let Some(image) = &settings.image {
        defaults = defaults.with("image", text(image));
    }
    if let Some(label) = &settings.runner {
        defaults = defaults.with("tags", texts([label]));
    }
    if let Some(install) = &settings.install {
        defaults = defaults.with("before_script", texts([install]));
    }
    defaults
}

fn check(pipeline: &Pipeline) -> Yaml {
    let words = ["check", "\"$SERVICE\"", "--format", "junit", "--output", "\"$SERVICE.xml\""];
    let artifacts = map([
        ("when", text("always")),
        ("expire_in", text(REPORTS_KEPT)),
        ("reports", map([("junit", text("$SERVICE.xml"))])),
    ]);
    cached(pipeline, job("check", vec![pipeline.call(&words)]))
        .with("parallel", matrix(pipeline))
        .with("artifacts", artifacts)
}

fn build(pipeline: &Pipeline) -> Yaml {
    let build = pipeline.call(&["build", "\"$SERVICE\""]);
    let Some(registry) = &pipeline.settings.push else {
        return cached(pipeline, job("build", vec![build])).with("parallel", matrix(pipeline));
    };
    let reference = format!("\"{registry}/$SERVICE:$CI_COMMIT_SHA\"");
    let push = pipeline.call(&["build", "\"$SERVICE\"", "--push", &reference]);
    // REGISTRY_AUTH_FILE is a variable of type file, in the form of containers-auth.json(5).
    let lines = [
        "if [ \"$CI_PIPELINE_SOURCE\" = merge_request_event ]",
        &format!("then {build}"),
        &format!("else {push}"),
        "fi",
    ];
    let script = Yaml::List(vec![Yaml::Lines(lines.map(str::to_owned).into())]);
    let job = map([("stage", text("build")), ("script", script)]);
    cached(pipeline, job).with("parallel", matrix(pipeline))
}

fn release(pipeline: &Pipeline, label: &str) -> Yaml {
    let branch = serde_json::Value::from(pipeline.settings.branch.as_str()).to_string();
    let only = map([("if", text(format!("$CI_COMMIT_BRANCH == {branch}")))]);
    job("release", vec![pipeline.call(&["release"])])
        .with("tags", texts([label]))
        .with("rules", Yaml::List(vec![only]))
        .with("environment", map([("name", text("release"))]))
        // One after another, and none cut off in the middle.
        .with("resource_group", text("updraft-release"))
        .with("interruptible", Yaml::Truth(false))
        // The machine has its own command.
        .with("before_script", Yaml::List(Vec::new()))
}

fn job(stage: &str, script: Vec<String>) -> Yaml {
    map([("stage", text(stage)), ("script", texts(script))])
}

fn matrix(pipeline: &Pipeline) -> Yaml {
    let services = map([("SERVICE", texts(&pipeline.services))]);
    map([("matrix", Yaml::List(vec![services]))])
}

/// GitLab keeps folders of the project only, so that is where downloads go.
fn cached(pipeline: &Pipeline, job: Yaml) -> Yaml {
    let caches = pipeline.caches;
    let all = [
        (caches.cargo, "CARGO_HOME", ".cache/cargo"),
        (caches.npm, "npm_config_cache", ".cache/npm"),
        (caches.uv, "UV_CACHE_DIR", ".cache/uv"),
        (caches.pip, "PIP_CACHE_DIR", ".cache/pip"),
    ];
    let used: Vec<_> = all.iter().filter(|(used, ..)| *used).collect();
    if used.is_empty() {
        return job;
    }
    let mut variables = map([]);
    for (_, name, folder) in &used {
        variables = variables.with(name, text(format!("$CI_PROJECT_DIR/{folder}")));
    }
    let folders = used.iter().map(|(_, _, folder)| *folder);
    // One for all branches; GitLab keeps that of protected ones apart by itself.
    let cache = map([("key", text("updraft")), ("paths", texts(folders))]);
    job.with("variables", variables).with("cache", cache)
}
