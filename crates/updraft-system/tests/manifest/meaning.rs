//! What sound manifests mean.

use std::time::Duration;

use updraft_system::mesh::{
    Authorization, Balance, BreakerPolicy, Calls, HashBy, Hop, Limits, MeshSettings, Mtls,
    Protocol, Rate, RetryBudget, RetryOn, RetryPolicy, Share, TelemetryConfig, Traffic,
};
use updraft_system::{
    After, Beside, Build, ConfigType, Confinement, Name, ProbeKind, ResourceKind, Roll, System,
    Target, TaskMissed, TaskOverlap, TaskTrigger, parse_manifest,
};

use crate::good::GOOD;

fn system(text: &str) -> System {
    parse_manifest(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn every_good_manifest_is_accepted_and_survives_json() {
    for (title, text) in GOOD {
        let system = parse_manifest(text).unwrap_or_else(|all| panic!("{title}: {all:#?}"));
        let json = serde_json::to_string(&system).unwrap();
        assert_eq!(serde_json::from_str::<System>(&json).unwrap(), system, "{title}");
    }
}

#[test]
fn the_example_of_the_reference_means_what_it_says() {
    let system = system(include_str!("../../src/manifest/example.toml"));
    insta::assert_json_snapshot!(system);
}

#[test]
fn a_web_process_without_a_probe_is_ready_when_its_port_opens() {
    let system = system("system='x'\n[service.s.process]\nweb='w'\nother='o'");
    let service = &system.services["s"];
    let (web, other) = (&service.processes["web"], &service.processes["other"]);
    assert_eq!(web.ready.kind, ProbeKind::Tcp);
    assert_eq!(other.ready.kind, ProbeKind::Started);
    assert_eq!((web.scale, web.stop), (1, Duration::from_secs(10)));
    assert_eq!(web.ready.within, Duration::from_secs(60));
    assert_eq!((service.path.to_str(), &service.build), (Some("."), &Build::None));
}

#[test]
fn a_limit_is_the_same_in_each_form() {
    let limits = |text: &str| {
        let text = format!("system='x'\n[service.s.process]\np={{run='p', limits={{{text}}}}}");
        system(&text).services["s"].processes["p"].confinement.limits
    };
    for text in ["memory='512MiB'", "memory='0.5Gi'", "memory=536870912", "memory=0x2000_0000"] {
        assert_eq!(
            limits(text),
            updraft_system::Limits { memory_bytes: Some(512 << 20), ..Default::default() }
        );
    }
    for text in ["cpu=0.5", "cpu='0.5'", "cpu='50%'", "cpu='500m'", "cpu=5e-1", "cpu=0.5004"] {
        let expected = updraft_system::Limits { cpu_millicores: Some(500), ..Default::default() };
        assert_eq!(limits(text), expected, "{text}");
    }
    assert_eq!(limits("cpu=2").cpu_millicores, Some(2000));
    let both = limits("files=1024, pids=64");
    assert_eq!((both.files, both.pids, both.memory_bytes), (Some(1024), Some(64), None));
}

#[test]
fn nowhere_to_write_is_not_everywhere() {
    let system = system("system='x'\n[service.s.process]\na='a'\nb={run='b', writable=[]}");
    let processes = &system.services["s"].processes;
    assert_eq!(processes["a"].confinement, Confinement::default());
    assert_eq!(processes["a"].confinement.writable, None);
    assert_eq!(processes["b"].confinement.writable, Some(Vec::new()));
}

#[test]
fn a_process_rolls_beside_the_old_one_unless_there_must_never_be_two() {
    let system = system(
        "system='x'\n[service.s.process]\nweb='w'\na={run='a',roll='exclusive'}\n\
         b={run='b',roll={surge=4,ready=1,settle='0s'}}\nc={run='c',roll={surge=2}}",
    );
    let roll = |name: &str| system.services["s"].processes[name].roll.clone();
    let beside = |surge, ready, settle| {
        Roll::Beside(Beside { surge, ready, settle: Duration::from_secs(settle) })
    };
    assert_eq!(roll("web"), beside(1, 3, 6));
    assert_eq!(roll("a"), Roll::Exclusive);
    assert_eq!(roll("b"), beside(4, 1, 0));
    assert_eq!(roll("c"), beside(2, 3, 6));
}

#[test]
fn a_queue_lives_on_the_only_database_or_on_its_own() {
    let on = |resources: &str| {
        let system = system(&format!("system='x'\n[resource]\nq={{kind='queue'}}\n{resources}"));
        match &system.resources["q"].kind {
            ResourceKind::Queue { on, max_attempts: 5 } => on.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(on("a={kind='sql'}\nb={kind='postgres'}"), Some(name("a")));
    assert_eq!(on("b={kind='postgres'}"), None);
    assert_eq!(on(""), None);
}

#[test]
fn references_resolve_to_what_they_name() {
    let system = system(
        "system='x'
        [resource]
        db={kind='sql'}
        [service.a]
        run='a'
        task.m={run='m',when='release'}
        [service.b]
        run='b'
        needs=['db','a']
        after=['a','a.web','a.m']",
    );
    let b = &system.services["b"];
    let targets: Vec<_> = b.needs.iter().map(|need| need.target.clone()).collect();
    assert_eq!(targets, [Target::Resource(name("db")), Target::Service(name("a"))]);
    let (a, web, m) = (name("a"), name("web"), name("m"));
    let after = [After::Service(a.clone()), After::Process(a.clone(), web), After::Task(a, m)];
    assert_eq!(b.after, after);
    assert_eq!(system.services["a"].tasks["m"].when, TaskTrigger::Release);
}

#[test]
fn entries_of_one_target_are_one_edge() {
    let system = system(
        "system='x'
        [service.a]
        run='a'
        needs=['b:POST /send','c','b:GET /box/{id}']
        [service.b]
        run='b'
        [service.c]
        run='c'",
    );
    let edges: Vec<_> = system.services["a"]
        .needs
        .iter()
        .map(|need| {
            let only: Vec<_> = need.only.iter().map(ToString::to_string).collect();
            (need.target.name().as_str(), only)
        })
        .collect();
    let only = vec!["POST /send".to_owned(), "GET /box/{id}".to_owned()];
    assert_eq!(edges, [("b", only), ("c", vec![])]);
}

#[test]
fn a_manifest_that_says_nothing_of_the_wire_has_its_defaults() {
    let system = system("system='x'\n[service.a]\nrun='a'\nneeds=['a']\ncalls.a={}");
    let a = &system.services["a"];
    assert_eq!(system.mesh, MeshSettings::default());
    assert_eq!(a.calls["a"], Calls::default());
    assert_eq!((a.protocol, &a.traffic), (Protocol::Http1, &Traffic::default()));
    assert!(a.operations.is_empty());
}

/// What the reference says of absent keys, written out.
#[test]
fn the_defaults_that_the_reference_tells_are_those_of_the_types() {
    let page = updraft_system::reference_markdown();
    let told = |title: &str| {
        let table = page.split(&format!("\n## {title}\n")).nth(1).unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
        let rows = rows.take_while(|line| line.starts_with('|')).filter_map(|row| {
            let mut cells = row.split(" | ");
            let key = cells.next()?.trim_start_matches("| ").trim_matches('`');
            let default = cells.nth(1)?.trim_matches('`');
            let value = toml::from_str::<toml::Table>(&format!("v = {default}")).is_ok();
            value.then(|| format!("{key} = {default}\n"))
        });
        rows.collect::<String>()
    };
    let calls = format!(
        "{}[service.a.calls.a.retry]\n{}[service.a.calls.a.breaker]\n{}",
        told("`[service.NAME.calls.NEED]`"),
        told("`retry = { … }`"),
        told("`breaker = { … }`"),
    );
    let limits = told("`[mesh.limits]`");
    assert_eq!((calls.matches(" = ").count(), limits.matches(" = ").count()), (13, 12));
    let mesh = told("`[mesh]`");
    let system = system(&format!(
        "system='x'\n[service.a]\nrun='a'\nneeds=['a']\n[service.a.calls.a]\n{calls}\
         [mesh]\n{mesh}[mesh.limits]\n{limits}"
    ));
    assert_eq!(system.services["a"].calls["a"], Calls::default());
    assert_eq!(system.mesh, MeshSettings::default());
}

#[test]
fn a_system_that_was_written_before_the_wire_was_is_read_with_its_defaults() {
    let system = system("system='x'\n[service.a]\nrun='a'\nneeds=['a']");
    let mut json = serde_json::to_value(&system).unwrap();
    json.as_object_mut().unwrap().remove("mesh");
    let service = json["services"]["a"].as_object_mut().unwrap();
    for key in ["protocol", "operations", "calls", "traffic"] {
        assert!(service.remove(key).is_some(), "{key}");
    }
    service["needs"][0].as_object_mut().unwrap().remove("only");
    service["processes"]["web"].as_object_mut().unwrap().remove("version");
    assert_eq!(serde_json::from_value::<System>(json).unwrap(), system);
}

#[test]
fn what_is_said_of_calls_is_what_they_are() {
    let text = GOOD.iter().find(|(title, _)| *title == "each key of calls").unwrap().1;
    let system = system(text);
    let calls = &system.services["a"].calls;
    let second = Duration::from_secs(1);
    let expected = Calls {
        timeout: 2 * second,
        attempt_timeout: Some(second / 2),
        idle: 60 * second,
        retry: RetryPolicy {
            on: [
                RetryOn::Connect,
                RetryOn::Reset,
                RetryOn::Timeout,
                RetryOn::GrpcUnavailable,
                RetryOn::Status(429),
                RetryOn::Status(503),
            ]
            .into(),
            attempts: 2,
            budget: RetryBudget { share: "12.5%".parse().unwrap(), floor: 0 },
        },
        breaker: BreakerPolicy {
            consecutive: 1,
            failures: "0.01%".parse().unwrap(),
            open_for: Duration::from_millis(1),
            at_most: Share::percent(0),
        },
        concurrency: 1,
        queue: 0,
        rate: Some(Rate { count: 100, per: 60 * second }),
        balance: Balance::Hash(HashBy::Header("x-user".to_owned())),
        hop: Hop::H1,
    };
    assert_eq!(calls["b"], expected);
    let never = RetryPolicy { on: [].into(), attempts: 1, ..RetryPolicy::default() };
    assert_eq!((&calls["c"].retry, &calls["c"].balance), (&never, &Balance::RoundRobin));
    assert_eq!(calls["d"].retry, RetryPolicy::default());
    assert_eq!(calls["db"].retry.on, [RetryOn::Connect].into());
}

#[test]
fn what_is_said_of_traffic_is_what_is_done() {
    let text = GOOD.iter().find(|(title, _)| *title == "each form of traffic").unwrap().1;
    let system = system(text);
    insta::assert_json_snapshot!(system.services["b"].traffic);
}

#[test]
fn a_process_with_a_version_serves_requests_beside_web() {
    let text = GOOD.iter().find(|(title, _)| *title == "each form of traffic").unwrap().1;
    let system = system(text);
    let b = &system.services["b"];
    let endpoints: Vec<_> =
        b.endpoints().map(|(process, version)| (process.name.clone(), version)).collect();
    let (web, v42) = (name("web"), name("v42"));
    let expected = [(name("also"), v42.clone()), (name("next"), v42), (web.clone(), web.clone())];
    assert_eq!(endpoints, expected);
    assert!(b.is_endpoint(&web) && b.is_endpoint(&name("next")));
    assert!(!b.is_endpoint(&name("worker")) && !b.is_endpoint(&name("nobody")));
    assert_eq!(b.processes["next"].ready.kind, ProbeKind::Tcp);
    assert_eq!(b.processes["worker"].ready.kind, ProbeKind::Started);
}

#[test]
fn what_is_said_of_the_mesh_is_what_it_is() {
    let text = GOOD.iter().find(|(title, _)| *title == "each key of the mesh").unwrap().1;
    let mesh = system(text).mesh;
    let second = Duration::from_secs(1);
    let limits = Limits {
        connections: 1,
        head_bytes: 1024,
        head_fields: 1,
        head_timeout: Duration::from_millis(1),
        keep_alive: second,
        upstream_idle: second,
        connect_timeout: second,
        streams: 1,
        replay_bytes: 0,
        tunnel_idle: 3600 * second,
        tunnel_linger: second,
        drain: Duration::ZERO,
    };
    let otlp = Some("http://127.0.0.1:4318".to_owned());
    let expected = MeshSettings {
        authorization: Authorization::Audit,
        mtls: Mtls::Always,
        telemetry: TelemetryConfig { otlp, access_log: true },
        limits,
        ingress: Some(8080),
        proxy_protocol: true,
        admin: Some(65_535),
    };
    assert_eq!(mesh, expected);
}

#[test]
fn numbers_of_any_radix_become_plain_defaults() {
    let system = system(
        "system='x'
        [service.a]
        run='a'
        config={A={type='int',max=0xff,default=0o17},B={type='int',default=0b101}}",
    );
    let config = &system.services["a"].config;
    assert_eq!(config["A"].shape, ConfigType::Int { min: None, max: Some(255) });
    assert_eq!(config["A"].default.as_deref(), Some("15"));
    assert_eq!(config["B"].default.as_deref(), Some("5"));
}

#[test]
fn a_rule_begins_with_its_least_and_has_the_windows_of_kubernetes() {
    let system = system(
        "system='x'
        [service.s.process]
        web={run='w',scale={min=2,max=9,cpu='70%',concurrency=20}}
        plain={run='p',scale=3}",
    );
    let processes = &system.services["s"].processes;
    let rule = processes["web"].autoscale.clone().unwrap();
    assert_eq!((processes["web"].scale, rule.min, rule.max), (2, 2, 9));
    assert_eq!((rule.cpu.unwrap().percent(), rule.concurrency, rule.queue), (70, Some(20), None));
    assert_eq!(rule.stabilize.up, Duration::ZERO);
    assert_eq!(rule.stabilize.down, Duration::from_mins(5));
    assert_eq!((rule.every, rule.step.up, rule.step.down), (Duration::from_secs(5), None, None));
    assert_eq!((processes["plain"].scale, &processes["plain"].autoscale), (3, &None));
}

#[test]
fn a_schedule_is_of_utc_and_leaves_out_what_overlaps_or_was_missed() {
    let system = system("system='x'\n[service.s]\nrun='r'\ntask.t={run='t',every='0 3 * * *'}");
    let task = &system.services["s"].tasks["t"];
    let schedule = task.schedule.clone().unwrap();
    assert_eq!((schedule.every.as_str(), schedule.timezone.as_str()), ("0 3 * * *", "UTC"));
    assert_eq!((schedule.overlap, schedule.missed), (TaskOverlap::Skip, TaskMissed::Skip));
    assert_eq!((task.when, task.tty), (TaskTrigger::Manual, false));
}
