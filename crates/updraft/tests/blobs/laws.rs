//! What holds on every kind.

use super::moto::Moto;
use super::support::open;

/// Each law is a test on the kinds that need no server, and all of them are one on S3, whose
/// stand-in takes its time to start.
macro_rules! laws {
    ($($law:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("file://{}/", folder.path().display());
                for kind in [url.as_str(), "memory:"] {
                    println!("{kind}");
                    law::$law(&open(&format!("{kind}?max_bytes=16MiB"))).await;
                }
            }
        )*

        #[tokio::test(flavor = "multi_thread")]
        async fn s3_keeps_every_law() {
            let moto = Moto::start(0);
            $(
                println!("{}", stringify!($law));
                let prefix = concat!("a/folder/", stringify!($law));
                law::$law(&moto.place(prefix, "&max_bytes=16MiB")).await;
            )*
        }
    };
}

laws! {
    a_blob_comes_back_as_it_was
    a_blob_that_is_not_there_is_missing
    of_all_who_create_a_blob_one_does
    only_the_version_that_was_seen_is_replaced
    of_all_who_replace_a_version_one_does
    a_range_is_a_part_of_the_blob
    a_list_is_in_order_and_goes_on_where_it_ended
    a_copy_is_a_blob_of_its_own
    a_stream_becomes_a_blob
    a_stream_that_fails_leaves_nothing
    what_is_too_large_and_what_is_no_name_is_refused
    an_open_blob_stays_the_version_that_was_opened
}

mod law {
    use bytes::Bytes;
    use futures_util::stream;
    use tokio::task::JoinSet;
    use updraft::{BlobError, BlobVersion, Blobs};

    pub(super) async fn a_blob_comes_back_as_it_was(blobs: &Blobs) {
        for bytes in [vec![], vec![0; 1], (0..=255).cycle().take(300_000).collect()] {
            let version = blobs.put("a/b c.bin", bytes.clone()).await.unwrap();
            assert_eq!(blobs.read("a/b c.bin").await.unwrap(), bytes);
            let info = blobs.head("a/b c.bin").await.unwrap();
            assert_eq!((info.name.as_str(), info.size), ("a/b c.bin", bytes.len() as u64));
            assert_eq!(info.version, version);
            let age = jiff::Timestamp::now().duration_since(info.modified);
            assert!(age.abs() < jiff::SignedDuration::from_mins(5), "{age}");
        }
        blobs.delete("a/b c.bin").await.unwrap();
        assert!(matches!(blobs.read("a/b c.bin").await, Err(BlobError::Missing)));
    }

    pub(super) async fn a_blob_that_is_not_there_is_missing(blobs: &Blobs) {
        let missing = |error: BlobError| {
            assert!(matches!(error, BlobError::Missing) && !error.is_away(), "{error:?}");
        };
        missing(blobs.read("none").await.unwrap_err());
        missing(blobs.read_range("none", 0..1).await.unwrap_err());
        missing(blobs.get("none").await.unwrap_err());
        missing(blobs.head("none").await.unwrap_err());
        missing(blobs.copy("none", "other").await.unwrap_err());
        blobs.delete("none").await.unwrap();
        let version = BlobVersion::new("0-0-0");
        let error = blobs.replace("none", "x", &version).await.unwrap_err();
        assert!(matches!(error, BlobError::Changed), "{error:?}");
        assert_eq!(blobs.list(None, None, 10).await.unwrap(), []);
        assert_eq!(blobs.list(Some("none"), None, 10).await.unwrap(), []);
    }

    pub(super) async fn of_all_who_create_a_blob_one_does(blobs: &Blobs) {
        let mut creating = JoinSet::new();
        for own in 0..8_u8 {
            let blobs = blobs.clone();
            creating.spawn(async move { (own, blobs.create("one", vec![own; 1000]).await) });
        }
        let results = creating.join_all().await;
        let winners: Vec<u8> =
            results.iter().filter(|(_, made)| made.is_ok()).map(|(own, _)| *own).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        for (_, result) in &results {
            assert!(matches!(result, Ok(_) | Err(BlobError::Exists)), "{result:?}");
        }
        assert_eq!(blobs.read("one").await.unwrap(), vec![winners[0]; 1000]);
    }

    pub(super) async fn only_the_version_that_was_seen_is_replaced(blobs: &Blobs) {
        let first = blobs.put("k", "1").await.unwrap();
        let second = blobs.replace("k", "2", &first).await.unwrap();
        assert_ne!(first, second);
        let late = blobs.replace("k", "3", &first).await.unwrap_err();
        assert!(matches!(late, BlobError::Changed), "{late:?}");
        assert_eq!(blobs.read("k").await.unwrap(), "2");
        assert_eq!(blobs.head("k").await.unwrap().version, second);
    }

    pub(super) async fn of_all_who_replace_a_version_one_does(blobs: &Blobs) {
        let mut version = blobs.put("counter", "0").await.unwrap();
        for round in 0..3_u8 {
            let mut replacing = JoinSet::new();
            for own in 0..6_u8 {
                let (blobs, version) = (blobs.clone(), version.clone());
                // S3 knows versions by their bytes.
                let bytes = vec![round, own];
                replacing.spawn(async move { blobs.replace("counter", bytes, &version).await });
            }
            let results = replacing.join_all().await;
            let mut made = results.iter().filter_map(|result| result.as_ref().ok());
            let winner = made.next().unwrap();
            assert!(made.next().is_none(), "{results:?}");
            for result in &results {
                assert!(matches!(result, Ok(_) | Err(BlobError::Changed)), "{result:?}");
            }
            version = winner.clone();
        }
    }

    pub(super) async fn a_range_is_a_part_of_the_blob(blobs: &Blobs) {
        blobs.put("k", "0123456789").await.unwrap();
        for (range, expected) in
            [(0..1, "0"), (3..7, "3456"), (9..10, "9"), (8..100, "89"), (0..10, "0123456789")]
        {
            assert_eq!(blobs.read_range("k", range).await.unwrap(), expected);
        }
        let inside_out = std::ops::Range { start: 7, end: 3 };
        for range in [10..11, 100..200, 5..5, inside_out] {
            let error = blobs.read_range("k", range.clone()).await.unwrap_err();
            assert!(matches!(error, BlobError::Range), "{range:?} {error:?}");
        }
    }

    pub(super) async fn a_list_is_in_order_and_goes_on_where_it_ended(blobs: &Blobs) {
        let names = ["a", "b/1", "b/10", "b/2", "b/c/d", "bb", "c"];
        for name in names.iter().rev() {
            blobs.put(name, *name).await.unwrap();
        }
        let list = async |folder: Option<&str>, after: Option<&str>, limit| {
            let found = blobs.list(folder, after, limit).await.unwrap();
            found.into_iter().map(|info| info.name).collect::<Vec<_>>()
        };
        assert_eq!(list(None, None, 1000).await, names);
        assert_eq!(list(Some("b"), None, 1000).await, names[1..5]);
        assert_eq!(list(Some("b"), Some("b/10"), 1000).await, names[3..5]);
        assert_eq!(list(None, None, 0).await, [""; 0]);
        let mut pages = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = list(None, after.as_deref(), 2).await;
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            pages.extend(page);
        }
        assert_eq!(pages, names);
    }

    pub(super) async fn a_copy_is_a_blob_of_its_own(blobs: &Blobs) {
        blobs.put("from", "1").await.unwrap();
        blobs.put("to", "old").await.unwrap();
        blobs.copy("from", "to").await.unwrap();
        assert_eq!(blobs.read("to").await.unwrap(), "1");
        blobs.put("from", "2").await.unwrap();
        assert_eq!(blobs.read("to").await.unwrap(), "1");
        blobs.delete("from").await.unwrap();
        assert_eq!(blobs.read("to").await.unwrap(), "1");
    }

    /// Sizes around that of a part, 8 MiB, in pieces that fit into nothing.
    pub(super) async fn a_stream_becomes_a_blob(blobs: &Blobs) {
        const PART: usize = 8 << 20;
        for size in [0, 1, PART - 1, PART, PART + 1] {
            let all: Vec<u8> =
                (0..size).map(|index| u8::try_from(index / 1000 % 251).unwrap()).collect();
            let pieces: Vec<_> = all
                .chunks(700_001)
                .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
                .collect();
            let version = blobs.put_stream("s", stream::iter(pieces)).await.unwrap();
            let info = blobs.head("s").await.unwrap();
            assert_eq!((info.size, &info.version), (size as u64, &version), "{size}");
            assert!(blobs.read("s").await.unwrap() == all, "{size}");
        }
    }

    pub(super) async fn a_stream_that_fails_leaves_nothing(blobs: &Blobs) {
        blobs.put("kept", "as it was").await.unwrap();
        for before in [0, 1, 9] {
            let mut pieces: Vec<_> =
                (0..before).map(|_| Ok(Bytes::from(vec![7; 1 << 20]))).collect();
            pieces.push(Err(std::io::Error::other("the client went away")));
            for name in ["kept", "new"] {
                let pieces = pieces.iter().map(|piece| match piece {
                    Ok(bytes) => Ok(bytes.clone()),
                    Err(error) => Err(std::io::Error::other(error.to_string())),
                });
                let pieces: Vec<_> = pieces.collect();
                let error = blobs.put_stream(name, stream::iter(pieces)).await.unwrap_err();
                assert!(matches!(error, BlobError::Stream(_)), "{error:?}");
            }
        }
        assert_eq!(blobs.read("kept").await.unwrap(), "as it was");
        assert_eq!(blobs.list(None, None, 10).await.unwrap().len(), 1);
    }

    pub(super) async fn what_is_too_large_and_what_is_no_name_is_refused(blobs: &Blobs) {
        let error = blobs.put("k", vec![0; (16 << 20) + 1]).await.unwrap_err();
        assert!(matches!(error, BlobError::TooLarge { max } if max == 16 << 20), "{error:?}");
        assert!(matches!(blobs.head("k").await, Err(BlobError::Missing)));
        // A stream may be longer; then it is read as one.
        let pieces = (0..17).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![1; 1 << 20])));
        blobs.put_stream("long", stream::iter(pieces.collect::<Vec<_>>())).await.unwrap();
        assert!(matches!(blobs.read("long").await, Err(BlobError::TooLarge { .. })));
        let mut blob = blobs.get("long").await.unwrap();
        let mut read = 0;
        while let Some(piece) = blob.next().await {
            read += piece.unwrap().len();
        }
        assert_eq!(read, 17 << 20);
        for name in ["", "../k", "a/../../k", "/etc/passwd", "a//b", "a\0", ".updraft-locks/1"] {
            for error in [
                blobs.put(name, "x").await.err(),
                blobs.read(name).await.err(),
                blobs.delete(name).await.err(),
                blobs.copy("long", name).await.err(),
                blobs.list(Some(name), None, 1).await.err(),
            ] {
                assert!(matches!(error, Some(BlobError::Name { .. })), "{name:?} {error:?}");
            }
        }
    }

    pub(super) async fn an_open_blob_stays_the_version_that_was_opened(blobs: &Blobs) {
        blobs.put("k", vec![1; 3 << 20]).await.unwrap();
        let open = blobs.get("k").await.unwrap();
        assert_eq!(open.info().size, 3 << 20);
        blobs.put("k", vec![2; 10]).await.unwrap();
        assert_eq!(open.bytes().await.unwrap(), vec![1; 3 << 20]);
    }
}
