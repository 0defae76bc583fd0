//! Waiting for what a replica comes after.

use tokio::sync::watch;
use updraft_system::{LogSource, ProcessState};

use crate::board::{Board, Gate};

/// Waits until all gates are open; meanwhile the row of `source` says for what it waits.
pub(crate) async fn opened(board: &watch::Sender<Board>, source: &LogSource, gates: &[Gate]) {
    let mut changes = board.subscribe();
    loop {
        // Before the look: what changes after it is news, whoever changes it.
        changes.mark_unchanged();
        let mut is_open = false;
        board.send_if_modified(|board| {
            let closed = board.closed_gate(gates);
            is_open = closed.is_none();
            let (Some(reason), Some(row)) = (closed, board.rows.get_mut(source)) else {
                return false;
            };
            let is_told =
                row.state == ProcessState::Waiting && row.detail.as_ref() == Some(&reason);
            row.state = ProcessState::Waiting;
            row.detail = Some(reason);
            !is_told
        });
        if is_open {
            return;
        }
        if changes.changed().await.is_err() {
            // Nobody opens anything any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use updraft_system::{Name, Role, RowKind};

    use super::*;
    use crate::board::Row;

    fn source(service: &str) -> LogSource {
        LogSource::new(service.parse().unwrap(), Name::server(), 1)
    }

    fn row() -> Row {
        Row {
            kind: RowKind::Service,
            role: Role::Serving,
            proven: true,
            release: None,
            booted_in: None,
            pid: None,
            port: None,
            url: None,
            state: ProcessState::Backoff,
            restarts: 0,
            started: None,
            last_exit: None,
            detail: None,
            confinement: None,
        }
    }

    /// A gate that opens in the moment in which it is looked at.
    #[tokio::test]
    async fn no_gate_opens_unseen() {
        let (base, web) = (source("base"), source("web"));
        let gates = [Gate::Service(base.service.clone())];
        for attempt in 0..20_000 {
            let board = watch::Sender::new(Board::default());
            board.send_modify(|board| {
                board.rows.extend([(base.clone(), row()), (web.clone(), row())]);
            });
            let opens = std::thread::spawn({
                let (board, base) = (board.clone(), base.clone());
                move || {
                    board.send_modify(|board| {
                        board.rows.get_mut(&base).unwrap().state = ProcessState::Ready;
                    });
                }
            });
            let waited = tokio::time::timeout(Duration::from_secs(5), opened(&board, &web, &gates));
            assert!(waited.await.is_ok(), "attempt {attempt}: {:?}", board.borrow());
            opens.join().unwrap();
        }
    }
}
