//! How many lines one place in the code may write in a second. A loop that logs must not fill
//! the platform's disks, nor push out the lines that tell why it loops.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::{Level, Metadata};

use super::REQUESTS;

/// Places that are counted each for itself; all further ones share one count.
const PLACES: usize = 512;

/// How far from its first choice a place is looked for.
const PROBES: usize = 8;

/// An error may be written so many times as often: it is dropped last.
const ERROR_FACTOR: u64 = 10;

/// The bits of a window that count lines; those above them are its second.
const COUNT_BITS: u32 = 32;

/// Counts the lines of each place.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Lines in a second; 0: no limit.
    most: u64,
    places: Box<[Place]>,
    /// Of what found no room among the places.
    rest: Place,
    untold: AtomicBool,
}

#[derive(Debug, Default)]
struct Place {
    metadata: OnceLock<&'static Metadata<'static>>,
    window: AtomicU64,
    dropped: AtomicU64,
}

/// Lines of one place that were dropped since that was last told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    /// None: of several places.
    pub(crate) place: Option<&'static Metadata<'static>>,
    pub(crate) lines: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Written,
    Dropped,
    /// The first one that is dropped since all drops were told.
    DroppedFirst,
}

impl RateLimit {
    pub(crate) fn new(most: u32) -> Self {
        let places = (0..PLACES).map(|_| Place::default()).collect();
        let untold = AtomicBool::new(false);
        Self { most: u64::from(most), places, rest: Place::default(), untold }
    }

    /// Whether this place may write a line in this second.
    pub(crate) fn admit(&self, metadata: &'static Metadata<'static>, second: u64) -> Admission {
        // There is one line for each request, whose number is bounded where requests are.
        if self.most == 0 || metadata.target() == REQUESTS {
            return Admission::Written;
        }
        let factor = if *metadata.level() == Level::ERROR { ERROR_FACTOR } else { 1 };
        let place = self.place(metadata);
        if place.count(second) <= self.most * factor {
            return Admission::Written;
        }
        place.dropped.fetch_add(1, Ordering::Relaxed);
        if self.untold.swap(true, Ordering::Relaxed) {
            Admission::Dropped
        } else {
            Admission::DroppedFirst
        }
    }

    fn place(&self, metadata: &'static Metadata<'static>) -> &Place {
        // The metadata of a callsite is a static: its address is its identity.
        let address = std::ptr::from_ref(metadata).addr();
        let first = (address >> 4).wrapping_mul(0x9e37_79b9) >> 7;
        let candidates = (0..PROBES).filter_map(|step| self.places.get((first + step) % PLACES));
        for place in candidates {
            let owner = place.metadata.get_or_init(|| metadata);
            if std::ptr::eq(*owner, metadata) {
                return place;
            }
        }
        &self.rest
    }

    /// Whether lines were dropped that nobody was told of.
    pub(crate) fn is_untold(&self) -> bool {
        self.untold.load(Ordering::Relaxed)
    }

    /// What was dropped since this was last asked.
    pub(crate) fn take_dropped(&self) -> Vec<Dropped> {
        self.untold.store(false, Ordering::Relaxed);
        let all = self.places.iter().chain([&self.rest]);
        all.filter_map(|place| {
            let lines = place.dropped.swap(0, Ordering::Relaxed);
            (0 < lines).then(|| Dropped { place: place.metadata.get().copied(), lines })
        })
        .collect()
    }
}

impl Place {
    /// The number of this line in its second.
    fn count(&self, second: u64) -> u64 {
        let base = second << COUNT_BITS;
        let before = self.window.load(Ordering::Relaxed);
        if before >> COUNT_BITS != base >> COUNT_BITS {
            let turned = self.window.compare_exchange(
                before,
                base | 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if turned.is_ok() {
                return 1;
            }
        }
        (self.window.fetch_add(1, Ordering::Relaxed) & ((1 << COUNT_BITS) - 1)) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metadata of so many different places.
    fn places<const N: usize>(level: Level) -> [&'static Metadata<'static>; N] {
        use tracing::callsite::{Callsite, Identifier};
        struct Nowhere;
        impl Callsite for Nowhere {
            fn set_interest(&self, _: tracing::subscriber::Interest) {}
            fn metadata(&self) -> &Metadata<'_> {
                unreachable!("nobody asks")
            }
        }
        static NOWHERE: Nowhere = Nowhere;
        std::array::from_fn(|_| {
            let fields = tracing::field::FieldSet::new(&[], Identifier(&NOWHERE));
            let kind = tracing::metadata::Kind::EVENT;
            &*Box::leak(Box::new(Metadata::new("n", "t", level, None, None, None, fields, kind)))
        })
    }

    #[test]
    fn a_place_writes_so_many_lines_in_each_second_and_every_other_is_counted() {
        let limit = RateLimit::new(10);
        let [flood, quiet] = places(Level::INFO);
        for second in [5, 6] {
            let written = (0..25).filter(|_| limit.admit(flood, second) == Admission::Written);
            assert_eq!(written.count(), 10);
            assert_eq!(limit.admit(quiet, second), Admission::Written);
        }
        assert!(limit.is_untold());
        let dropped = limit.take_dropped();
        assert_eq!(dropped.len(), 1);
        assert!(dropped[0].place.is_some_and(|place| std::ptr::eq(place, flood)));
        assert_eq!(dropped[0].lines, 30);
        assert!(!limit.is_untold());
        assert!(limit.take_dropped().is_empty());
    }

    #[test]
    fn only_the_first_drop_calls_for_somebody_who_tells_of_it() {
        let limit = RateLimit::new(1);
        let [place] = places(Level::INFO);
        let admissions: Vec<_> = (0..4).map(|_| limit.admit(place, 1)).collect();
        use Admission::{Dropped, DroppedFirst, Written};
        assert_eq!(admissions, [Written, DroppedFirst, Dropped, Dropped]);
        limit.take_dropped();
        assert_eq!(limit.admit(place, 1), DroppedFirst);
    }

    #[test]
    fn errors_are_dropped_last_and_zero_is_no_limit() {
        let [error] = places(Level::ERROR);
        let limit = RateLimit::new(10);
        let written = (0..1000).filter(|_| limit.admit(error, 5) == Admission::Written).count();
        assert_eq!(written, 100);
        let limit = RateLimit::new(0);
        assert!((0..1000).all(|_| limit.admit(error, 5) == Admission::Written));
    }

    #[test]
    fn more_places_than_there_is_room_for_share_what_is_left() {
        let limit = RateLimit::new(1);
        let all: [_; 4 * PLACES] = places(Level::INFO);
        let written = all.iter().filter(|place| limit.admit(place, 9) == Admission::Written);
        let written = written.count();
        assert!(written <= PLACES + 1 && PLACES / 2 < written, "{written}");
        let dropped: u64 = limit.take_dropped().iter().map(|dropped| dropped.lines).sum();
        assert_eq!(dropped, (4 * PLACES - written) as u64);
    }
}
