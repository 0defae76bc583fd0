//! A request that the system says is slow.

use super::{Bench, Gate, Held, Running, Way, request, stays};
use crate::lab::client::Connection;

pub(super) async fn hold(bench: &Bench, running: &Running) -> Result<Held, String> {
    let Some(ask) = &bench.subject.slow else {
        return Err("no request is declared slow".to_owned());
    };
    let request = request(ask);
    let sent = async {
        let mut connection = Connection::open(running.address()).await?;
        connection.send(&request, false).await?;
        Ok::<_, crate::lab::client::Lost>(connection)
    };
    let mut connection = sent.await.map_err(|lost| format!("the slow request: {lost}"))?;
    if stays(bench, running, &mut connection).await {
        return Ok(Held::one(Way::Slow, &request, connection, Gate::Nothing));
    }
    Err(format!("`{}`, which is declared slow, was answered at once", ask.path))
}
