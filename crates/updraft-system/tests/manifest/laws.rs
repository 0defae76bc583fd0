//! What holds for every text, sensible or not.

use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use updraft_system::{Name, Problem, parse_manifest, parse_procfile};

use crate::good::GOOD;

/// A refusal has a reason, and each reason has a place that can be shown.
fn hold(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
        let (line, column) = problem.line_column(text);
        assert!(1 <= line && 1 <= column);
        assert!(!problem.message.is_empty() && !problem.message.ends_with('.'), "{problem:?}");
    }
    assert!(problems.is_sorted_by_key(|problem| problem.span.start));
}

/// A good manifest with some pieces cut out, doubled or exchanged.
fn mutated() -> impl Strategy<Value = String> {
    let noise = prop_oneof![
        prop::sample::select(vec![
            "\"",
            "'",
            "[",
            "]",
            "{",
            "}",
            "=",
            "\n",
            "[[a]]",
            "[a.b]",
            "é",
            "\0",
            "\\u0000",
            "#",
            ",",
            ".",
            "99999999999999999999",
            "-1",
            "1e999",
            "nan",
            "\"\"\"",
            "2027-03-01",
            "needs = [\"ü\"]",
            "after = [\"a\"]",
            "run = \"\"",
            "service",
            "process",
            "needs = [\"b:GET /x\"]",
            "calls.b.retry = false",
            "version = 'v2'",
            "protocol = 'tcp'",
            "traffic.split = { web = 0 }",
            "limits = { cpu = 0.5 }",
            "writable = ['data']",
            "scale = { max = 2, cpu = '70%' }",
            "scale = { min = 0, max = 1, queue = 'jobs', per = 5 }",
            "every = '* * * * *'",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let edit = (any::<prop::sample::Index>(), 0..20_usize, noise);
    (prop::sample::select(GOOD), prop::collection::vec(edit, 1..6)).prop_map(
        |((_, text), edits)| {
            let mut text = text.to_string();
            for (at, cut, piece) in edits {
                let start = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.floor_char_boundary((start + cut).min(text.len()));
                text.replace_range(start..end.max(start), &piece);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_system_or_has_findings_in_it(text in any::<String>()) {
        if let Err(problems) = parse_manifest(&text) {
            hold(&text, &problems);
        }
    }

    #[test]
    fn a_mutated_manifest_is_a_system_or_has_findings_in_it(text in mutated()) {
        match parse_manifest(&text) {
            Ok(system) => {
                // What is accepted has no reference that leads nowhere.
                for service in system.services.values() {
                    for need in &service.needs {
                        let name = need.target.name();
                        let known = system.services.contains_key(name)
                            || system.resources.contains_key(name);
                        assert!(known, "{name}");
                        let target = system.services.get(name);
                        let declared = target.map(|target| &target.operations);
                        for operation in &need.only {
                            let declared = declared.unwrap();
                            assert!(declared.is_empty() || declared.contains_key(operation));
                        }
                    }
                    assert!(!service.processes.is_empty());
                    for rule in service.processes.values().filter_map(|it| it.autoscale.as_ref()) {
                        let queue = rule.queue.as_ref();
                        assert!(rule.min <= rule.max && (0 < rule.min || queue.is_some()));
                        assert!(rule.cpu.is_some() || rule.concurrency.is_some() || queue.is_some());
                    }
                    for called in service.calls.keys() {
                        assert!(service.needs.iter().any(|need| need.target.name() == called));
                    }
                    let versions: Vec<_> = service.endpoints().map(|(_, it)| it).collect();
                    let split = service.traffic.split.iter().flat_map(|it| it.weights.keys());
                    for version in split {
                        assert!(versions.contains(version), "{version}");
                    }
                }
            }
            Err(problems) => hold(&text, &problems),
        }
    }

    #[test]
    fn any_procfile_is_a_system_or_has_findings_in_it(text in "([a-zA-Z_:# é\r\n-]{0,12}\n?){0,5}") {
        let name: Name = "x".parse().unwrap();
        if let Err(problems) = parse_procfile(&text, &name) {
            hold(&text, &problems);
        }
    }
}
