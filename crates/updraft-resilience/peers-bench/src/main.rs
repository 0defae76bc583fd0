//! Measures the policies of this crate and those of its peers in one run, and writes a table
//! in Markdown. Arguments: words of which a row must have one in its group or name.

mod floor;
mod measure;
mod ours;
mod peers;
mod stacks;

use std::collections::BTreeMap;

use measure::{Case, Times};

/// An error of the operation, of which there are none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

/// What each policy is put around.
pub async fn work(number: u64) -> Result<u64, Failed> {
    Ok(number.wrapping_add(1))
}

/// Rows are measured this often; the best counts, for other work only ever adds.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    peers::set_runtime(runtime.handle().clone());
    let _entered = runtime.enter();
    let mut cases = floor::cases();
    cases.extend(ours::cases()?);
    cases.extend(peers::cases()?);
    cases.extend(stacks::cases()?);
    cases.retain(|case| {
        let is_named =
            |word: &String| case.group.contains(word.as_str()) || case.name.contains(word.as_str());
        wanted.is_empty() || wanted.iter().any(is_named)
    });
    let mut best = vec![Times { one: f64::NAN, two: f64::NAN }; cases.len()];
    for _ in 0..ROUNDS {
        for (case, best) in cases.iter().zip(&mut best) {
            let times = case.measure();
            best.one = best.one.min(times.one);
            best.two = best.two.min(times.two);
        }
    }
    print(&cases, &best);
    Ok(())
}

fn print(cases: &[Case], times: &[Times]) {
    let mut groups: BTreeMap<&str, Vec<(&Case, Times)>> = BTreeMap::new();
    for (case, times) in cases.iter().zip(times) {
        groups.entry(case.group).or_default().push((case, *times));
    }
    for (group, rows) in groups {
        let of_peers = || rows.iter().filter(|(case, _)| !case.ours);
        let peer = of_peers().map(|(_, times)| times.one).fold(f64::NAN, f64::min);
        let peer_two = of_peers().map(|(_, times)| times.two).fold(f64::NAN, f64::min);
        // The digit before a title puts the groups in order.
        let (order, title) = group.split_once(' ').unwrap_or(("", group));
        let (peer, peer_two) = if order == "0" { (f64::NAN, f64::NAN) } else { (peer, peer_two) };
        println!("\n## {title}\n");
        println!("| | 1 thread, ns | to the best peer | 2 threads, ns | to the best peer |");
        println!("|---|--:|--:|--:|--:|");
        for (case, times) in &rows {
            let name = if case.ours { format!("**{}**", case.name) } else { case.name.to_owned() };
            println!(
                "| {name} | {:.1} | {} | {} | {} |",
                times.one,
                ratio(times.one, peer),
                number(times.two),
                ratio(times.two, peer_two)
            );
        }
    }
}

fn ratio(time: f64, peer: f64) -> String {
    let ratio = time / peer;
    if ratio.is_nan() { "–".to_owned() } else { format!("{ratio:.2}") }
}

fn number(time: f64) -> String {
    if time.is_nan() { "–".to_owned() } else { format!("{time:.1}") }
}
