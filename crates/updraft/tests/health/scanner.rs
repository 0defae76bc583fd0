//! A scanner that asks for twenty thousand things that are not there: what is measured, logged
//! and held of it stays bounded.

use crate::support::{Connection, Patient, get};
use rustix::process::Signal;

/// Paths of a run.
const PATHS: usize = 20_000;

/// After so many paths everything that there is to be made is made.
const FIRST: usize = 2_000;

/// Memory may grow by this over all the rest: a series for each path would take several times
/// as much.
const GROWTH_KIB: u64 = 8 * 1024;

/// Asks for these, by all words that scanners use, on four connections.
fn scan(address: &str, numbers: std::ops::Range<usize>) {
    let lanes: Vec<_> = (0..4)
        .map(|lane| {
            let (address, numbers) = (address.to_owned(), numbers.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(&address).unwrap();
                for number in numbers.skip(lane).step_by(4) {
                    let (method, path, status) = match number % 4 {
                        0 => ("GET", format!("/wp-{number}/login.php?x={number}"), 404),
                        1 => ("GET", format!("/items/{number}"), 200),
                        2 => ("POST", format!("/cgi-bin/{number}"), 404),
                        _ => ("PROPFIND", format!("/{number}/.git/config"), 404),
                    };
                    let answer = connection.ask(method, &path, "").unwrap();
                    assert_eq!(answer.status, status, "{method} {path}");
                }
            })
        })
        .collect();
    lanes.into_iter().for_each(|lane| lane.join().unwrap());
}

/// The samples that there are, without their values, of what requests are measured by.
fn series(patient: &Patient) -> Vec<String> {
    let metrics = patient.metrics();
    let of_requests = metrics.lines().filter(|line| line.starts_with("http_server_"));
    of_requests.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn twenty_thousand_paths_leave_no_series_no_memory_and_no_path_in_the_log() {
    let patient = Patient::web(&[]);
    scan(&patient.main, 0..FIRST);
    let (series_before, memory_before) = (series(&patient), patient.resident_kib());
    scan(&patient.main, FIRST..PATHS);
    assert_eq!(series(&patient), series_before);
    assert!(series_before.len() < 400, "{}", series_before.len());
    let grown = patient.resident_kib().saturating_sub(memory_before);
    assert!(grown < GROWTH_KIB, "{grown} KiB");
    assert_eq!(get(&patient.main, "/").status, 200);
    let counted = "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
                   http_route=\"unmatched\",http_response_status_code=\"404\"}";
    assert_eq!(patient.sample(counted), Some((PATHS / 4) as f64));
    patient.signal(Signal::TERM);
    let (status, lines) = patient.end();
    assert_eq!(status.code(), Some(0));
    let requests = lines.iter().filter(|line| line["message"] == "request");
    // Each has its line, also the last ones before the end, and none has its path.
    assert_eq!(requests.clone().count(), PATHS + 1);
    for line in requests {
        assert!(["unmatched", "/items/{id}", "/"].contains(&line["route"].as_str().unwrap()));
        assert!(!line.to_string().contains("wp-"), "{line}");
    }
}
