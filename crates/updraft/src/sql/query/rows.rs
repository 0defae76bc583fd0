//! Rows one after another, with a bound on how many are read ahead.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::{Query, Target};
use crate::sql::connection::Statement;
use crate::sql::error::{SqlError, SqlErrorKind};
use crate::sql::pool::Lease;
use crate::sql::row::Record;

/// Rows that are read ahead of the one who takes them.
const AHEAD: usize = 64;

/// What reads; `None` after its end.
type Reading<'t> = Pin<Box<dyn Future<Output = Result<(), SqlError>> + Send + 't>>;

/// The rows of a query; see [`Query::fetch`]. [`Rows::next`] gives one after another, and it is
/// a [`Stream`](futures_util::Stream).
///
/// ```
/// use updraft::{Sql, SqlError, sql};
///
/// async fn total(db: &Sql) -> Result<i64, SqlError> {
///     let mut total = 0;
///     let mut rows = sql::query("SELECT quantity FROM orders").fetch::<i64>(db);
///     while let Some(quantity) = rows.next().await {
///         total += quantity?;
///     }
///     Ok(total)
/// }
/// ```
#[must_use = "rows are read when they are asked for"]
pub struct Rows<'t, R> {
    reading: Option<Reading<'t>>,
    rows: mpsc::Receiver<R>,
}

impl<R> std::fmt::Debug for Rows<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl<'t, R: Record + Send + 't> Rows<'t, R> {
    pub(super) fn new(query: Query<'t>, target: Target<'t>) -> Self {
        let (sender, rows) = mpsc::channel(AHEAD);
        Self { reading: Some(Box::pin(read(query, target, sender))), rows }
    }

    /// The next row; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<R, SqlError>> {
        StreamExt::next(self).await
    }
}

impl<R> Stream for Rows<'_, R> {
    type Item = Result<R, SqlError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Some(row)) = self.rows.poll_recv(context) {
            return Poll::Ready(Some(Ok(row)));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let ended = reading.as_mut().poll(context);
        if ended.is_ready() {
            self.reading = None;
        }
        // What was read before the end comes before it.
        if let Poll::Ready(Some(row)) = self.rows.poll_recv(context) {
            if let Poll::Ready(Err(error)) = ended {
                self.reading = Some(Box::pin(std::future::ready(Err(error))));
            }
            return Poll::Ready(Some(Ok(row)));
        }
        match ended {
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Pending => Poll::Pending,
        }
    }
}

async fn read<R: Record + Send>(
    query: Query<'_>,
    target: Target<'_>,
    sender: mpsc::Sender<R>,
) -> Result<(), SqlError> {
    let Query { statement, wrong, .. } = query;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let begun = tokio::time::Instant::now();
    let (_, instruments) = target.told()?;
    let result = match target {
        Target::Reader(sql) => pass(&mut sql.readers().lease().await?, &statement, &sender).await,
        Target::Writer(sql) => pass(&mut sql.writers().lease().await?, &statement, &sender).await,
        Target::Transaction(tx) => {
            let result = pass(tx.streaming()?, &statement, &sender).await;
            tx.note(&result);
            result
        }
    };
    instruments.queried(begun.elapsed(), &result);
    result
}

async fn pass<R: Record + Send>(
    lease: &mut Lease,
    statement: &Statement<'_>,
    sender: &mpsc::Sender<R>,
) -> Result<(), SqlError> {
    let limit = lease.limit();
    let connection = lease.take()?;
    let result = async {
        let mut rows = connection.rows(statement, limit)?;
        loop {
            let next = tokio::time::timeout(limit, rows.next()).await;
            let Some(row) = next.map_err(|_elapsed| SqlError::new(SqlErrorKind::Timeout))? else {
                return Ok(());
            };
            // The receiver lives as long as this future does.
            drop(sender.send(R::from_row(&row?)?).await);
        }
    }
    .await;
    lease.end(&result);
    // Rows that nobody read are still under way.
    if result.as_ref().is_err_and(|error: &SqlError| *error.kind() == SqlErrorKind::Value) {
        lease.lose();
    }
    result
}
