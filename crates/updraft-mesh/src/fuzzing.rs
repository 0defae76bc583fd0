//! What the fuzz targets in `fuzz/` reach of the inside: readers of bytes that others wrote.
//! There only with `--cfg fuzzing`, in plain types, so that the laws stand in the targets.

mod trace;
mod tunnel;

pub use crate::gate::fuzzing::{
    Read, Request, Scanned, Sender, Served, check_path, read_whole, request, response, scan, serve,
    trailers,
};
pub use crate::identity::fuzzing::{Element, Leaf, first_element, leaf, sample_leaf};
pub use crate::instrument::stream::fuzzing::{Seen, converse};
pub use trace::{Trace, go_on, parse_traceparent};
pub use tunnel::{Header, read_proxy_header};
