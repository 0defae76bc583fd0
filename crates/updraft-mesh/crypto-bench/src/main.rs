//! What a provider of cryptography costs under rustls: mutual handshakes, records, leafs.
//! The rounds of the providers are interleaved, and the median of each is told, so that a
//! shared machine disturbs all alike.

mod measure;
mod providers;
mod subject;

use measure::{Row, median};
use subject::Subject;

/// Rounds of each measure.
const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let subjects = providers::all()?;
    let mut rows: Vec<Row> = Vec::new();
    for name in Subject::MEASURES {
        let mut taken = vec![Vec::new(); subjects.len()];
        for _ in 0..ROUNDS {
            for (subject, taken) in subjects.iter().zip(&mut taken) {
                taken.push(subject.measure(name)?);
            }
        }
        rows.push(Row { name, values: taken.into_iter().map(median).collect() });
    }
    let heads: Vec<&str> = subjects.iter().map(|subject| subject.name).collect();
    println!("| CPU time | {} |", heads.join(" | "));
    println!("|---|{}", "---|".repeat(heads.len()));
    for row in rows {
        println!("{row}");
    }
    Ok(())
}
