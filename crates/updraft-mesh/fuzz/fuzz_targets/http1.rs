//! The gate under hyper: hyper gets the requests that a reference finds in the whole stream,
//! nothing behind a place that can be read in two ways, and all that however the stream is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::{read_whole, scan, serve};
use updraft_mesh_fuzz::{cut, requests, sow};

/// What the reference has no idea of: its heads are as long as they like, and of trailers it knows
/// only those that frame.
const UNKNOWN: [&str; 5] = [
    "chunk_extension_too_long",
    "forbidden_trailer",
    "head_too_long",
    "too_many_fields",
    "trailers_too_long",
];

fuzz_target!(
    init: sow(requests().into_iter().flat_map(|raw| {
        [[0; 4], [7, 1, 0, 3]].map(|lengths| [&lengths[..], &raw].concat())
    })),
    |data: &[u8]| {
        let (pieces, stream) = cut(data);
        let scanned = scan(&[stream]);
        assert_eq!(scan(&pieces), scanned);

        let mut wanted = read_whole(stream);
        if scanned.rule.is_some_and(|rule| UNKNOWN.contains(&rule)) {
            assert!(wanted.ends.starts_with(&scanned.ends), "{wanted:?}");
            wanted.requests.truncate(scanned.ends.len());
        } else {
            assert_eq!(scanned.ends, wanted.ends);
            assert_eq!(scanned.rule.is_some(), wanted.refused, "{scanned:?}");
        }

        let served = serve(&pieces);
        // An absolute target comes out in its normal form.
        for request in &mut wanted.requests {
            if let Ok(uri) = request.target.parse::<http::Uri>() {
                request.target = uri.to_string();
            }
        }
        assert!(wanted.requests.starts_with(&served.requests), "{served:?} of {wanted:?}");
        assert!(served.heads <= served.requests.len() + 1);
        assert!(served.written.is_empty() || served.written.starts_with(b"HTTP/1."));
        if let Some(rule) = served.rules.first() {
            assert_eq!((Some(*rule), served.rules.len()), (scanned.rule, 1));
        }
        // Nothing waits for ever: either all was served, or the connection is over.
        let all = served.requests.len() == wanted.requests.len()
            && served.rules.first().copied() == scanned.rule;
        assert!(all || served.closed, "{served:?} of {wanted:?}, {scanned:?}");
    }
);
