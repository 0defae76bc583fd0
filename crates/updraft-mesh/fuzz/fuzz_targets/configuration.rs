//! The configuration of a gateway: no text makes its reader panic, each mistake has a place in the
//! text, and what was read without one is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh_fuzz::{examples, sow};
use updraft_system::mesh::{GatewayConfig, Severity};

fuzz_target!(
    init: sow(seeds()),
    |data: &[u8]| {
        let Some((way, text)) = data.split_first() else { return };
        let Ok(text) = std::str::from_utf8(text) else { return };
        let is_toml = way & 1 == 0;
        let read =
            if is_toml { GatewayConfig::from_toml(text) } else { GatewayConfig::from_json(text) };
        match read {
            Ok(config) => {
                let problems = config.problems();
                assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
                let json = serde_json::to_string(&config).expect("it is written");
                assert_eq!(GatewayConfig::from_json(&json), Ok(config));
            }
            Err(problems) => {
                assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
                let lines = text.split('\n').count();
                for problem in problems {
                    assert!(!problem.message.is_empty());
                    assert!(problem.pointer.is_empty() || problem.pointer.starts_with('/'));
                    assert!(problem.place.is_some() || !is_toml, "{problem}");
                    if let Some(place) = problem.place {
                        assert!((1..=lines).contains(&place.line) && place.column >= 1, "{place:?}");
                    }
                }
            }
        }
    }
);

fn seeds() -> Vec<Vec<u8>> {
    let page = include_str!("../../../../docs/guide/the-wire.md");
    let minimal = include_str!("../minimal.toml");
    let mut all = examples(page, "toml");
    all.push(minimal.as_bytes().to_vec());
    for seed in &mut all {
        seed.insert(0, 0);
    }
    let config = GatewayConfig::from_toml(minimal).expect("the seed is right");
    let json = serde_json::to_vec(&config).expect("it is written");
    all.push([&b"\x01"[..], &json].concat());
    all
}
