//! Bodies of any shape, cut at any place.

use std::convert::Infallible;
use std::task::Waker;

use http::HeaderMap;
use http_body_util::BodyExt as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Setting, Target};
use super::*;

struct Frames(std::collections::VecDeque<Frame<Bytes>>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

fn frames(sizes: &[usize], trailers: bool) -> Frames {
    let data = sizes.iter().map(|size| Frame::data(Bytes::from(vec![b'x'; *size])));
    Frames(data.chain(trailers.then(|| Frame::trailers(HeaderMap::new()))).collect())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The bytes until the end, and whether it was a cut.
async fn read(mut body: Body<Frames>) -> (usize, bool) {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(BodyError::Cut) => return (bytes, true),
            Err(BodyError::Inner(never)) => match never {},
        }
    }
    (bytes, false)
}

proptest! {
    #[test]
    fn a_cut_body_never_reaches_its_last_byte(
        sizes in vec(1_usize..50, 0..8),
        after in 0_u64..300,
        trailers in any::<bool>(),
    ) {
        let total: usize = sizes.iter().sum();
        let instrument = Instrument::new("shop-cart");
        let whole = Body::new(frames(&sizes, trailers), Arc::clone(&instrument), Direction::Response);
        prop_assert_eq!(run(read(whole)), (total, false));
        let cut = Body::new(frames(&sizes, trailers), instrument, Direction::Response).cut_after(after);
        let most = if trailers { total } else { total.saturating_sub(1) };
        let expected = usize::try_from(after).unwrap().min(most);
        prop_assert_eq!(run(read(cut)), (expected, true));
    }
}

#[tokio::test]
async fn a_stall_stops_a_body_and_loses_nothing() {
    let instrument = Instrument::new("shop-cart");
    let mut body = Body::new(frames(&[5, 6], false), Arc::clone(&instrument), Direction::Response);
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 5);
    instrument.set(Setting::Stall { on: Some(Direction::Response), target: Target::whole() });
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
    assert!(!body.is_end_stream());
    instrument.set(Setting::Stall { on: Some(Direction::Request), target: Target::whole() });
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 6);
    assert!(body.frame().await.is_none());
    assert_eq!(instrument.counts().bytes_to_client, 6);
}

#[tokio::test]
async fn an_error_of_the_body_stays_one() {
    let instrument = Instrument::new("shop-cart");
    let mut body = Body::new(Failing, instrument, Direction::Request);
    assert!(matches!(body.frame().await, Some(Err(BodyError::Inner(_)))));
}

struct Failing;

impl HttpBody for Failing {
    type Data = Bytes;
    type Error = std::fmt::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::fmt::Error>>> {
        Poll::Ready(Some(Err(std::fmt::Error)))
    }
}
