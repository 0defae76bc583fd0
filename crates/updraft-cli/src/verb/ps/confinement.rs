//! `updraft ps --confinement`: what holds for each process, and what does not.

use std::fmt::Write as _;

use updraft_system::{
    ConfinementStatus, ProcessStatus, RowKind, TemporaryStatus, cores_in_words, memory_in_words,
};

use crate::table::Table;

const TITLES: [&str; 8] = ["NAME", "MEMORY", "CPU", "FILES", "PIDS", "WRITES", "TMP", "POWERS"];
/// Columns that hold numbers.
const RIGHT: &[usize] = &[1, 2, 3, 4];

/// The processes that run, and below them what does not hold, with its reason.
pub(super) fn table(rows: &[ProcessStatus]) -> String {
    let mut table = Table::new(&TITLES, RIGHT);
    let mut lacking = String::new();
    let confined = rows.iter().filter(|row| row.kind == RowKind::Service);
    for (row, status) in confined.filter_map(|row| Some((row, row.confinement.as_ref()?))) {
        let name = format!("{}.{}.{}", row.service, row.process, row.replica);
        for reason in &status.lacking {
            let _written = write!(lacking, "\n{name}: {reason}");
        }
        table.row(cells(name, status).map(Into::into));
    }
    let separator = if lacking.is_empty() { "" } else { "\n" };
    format!("{table}{separator}{lacking}")
}

fn cells(name: String, status: &ConfinementStatus) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let number = |number: Option<u32>| or_dash(number.map(|number| number.to_string()));
    let limits = status.limits;
    let writes = status.writable.as_ref().map(|paths| match paths.len() {
        0 => "nowhere".to_owned(),
        1 => "1 path".to_owned(),
        several => format!("{several} paths"),
    });
    let temporary = match status.temporary {
        TemporaryStatus::Shared => "shared",
        TemporaryStatus::Tmpdir => "TMPDIR",
        TemporaryStatus::Private => "/tmp",
    };
    let powers = match status.capabilities.as_deref() {
        None => "as started".to_owned(),
        Some([]) => "none".to_owned(),
        Some(names) => names.join(" "),
    };
    [
        name,
        or_dash(limits.memory_bytes.map(memory_in_words)),
        or_dash(limits.cpu_millicores.map(cores_in_words)),
        number(limits.files),
        number(limits.pids),
        writes.unwrap_or_else(|| "anywhere".to_owned()),
        temporary.to_owned(),
        powers,
    ]
}

#[cfg(test)]
mod tests {
    use updraft_system::Limits;

    use super::*;
    use crate::verb::ps::tests::row;

    #[test]
    fn what_holds_stands_in_the_table_and_what_does_not_below_it() {
        let web = ConfinementStatus {
            limits: Limits {
                memory_bytes: Some(256 << 20),
                cpu_millicores: Some(500),
                files: Some(1024),
                pids: None,
            },
            no_new_privileges: true,
            capabilities: Some(Vec::new()),
            temporary: TemporaryStatus::Private,
            writable: Some(vec!["/srv/a/data".into(), "/state/db".into()]),
            read_only: true,
            lacking: vec!["its limit of 64 processes does not hold: no control group".to_owned()],
        };
        let worker = ConfinementStatus {
            capabilities: Some(vec!["NET_BIND_SERVICE".to_owned()]),
            temporary: TemporaryStatus::Tmpdir,
            ..ConfinementStatus::default()
        };
        let ready = updraft_system::ProcessState::Ready;
        let rows = [
            ProcessStatus { confinement: Some(web), ..row("orders", "web", ready) },
            ProcessStatus { confinement: Some(worker), ..row("orders", "worker", ready) },
            row("orders", "gone", updraft_system::ProcessState::Stopped),
        ];
        insta::assert_snapshot!(table(&rows));
    }
}
