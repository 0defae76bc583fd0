//! How many copies one load asks for: the formula of Kubernetes' HorizontalPodAutoscaler,
//! desired = ceil(current × metric / target), with its tolerance and with what it does for
//! copies that could not be measured ("Horizontal Pod Autoscaling", section "Algorithm
//! details", and `replica_calculator.go`).
//!
//! Everything is a whole number in thousandths, so that no rounding decides.

/// A load that is within a tenth of what is aimed at changes nothing.
const TOLERANCE_PARTS: u128 = 10;

/// A load in thousandths of its unit, such as requests in flight or processors.
pub(crate) type Milli = u64;

/// One load at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// Measured at each copy by itself.
    PerCopy {
        /// The copies that could be measured.
        seen: Vec<Milli>,
        /// Copies that run and could not be measured.
        unseen: u32,
        /// Copies that are not ready yet.
        unready: u32,
    },
    /// Measured as a whole, outside of the copies, such as the depth of a queue.
    Whole(Milli),
}

/// The copies that a load asks for, without bounds; `None`: nothing could be measured.
///
/// `target` is the load of one copy that is aimed at, at least 1; `current` the copies that
/// there are.
pub(crate) fn desired(sample: &Sample, target: Milli, current: u32) -> Option<u32> {
    match sample {
        Sample::Whole(load) => Some(of_whole(*load, target, current)),
        Sample::PerCopy { seen, .. } if seen.is_empty() => None,
        Sample::PerCopy { seen, unseen, unready } => {
            Some(of_copies(seen, *unseen, *unready, target, current))
        }
    }
}

fn of_whole(load: Milli, target: Milli, current: u32) -> u32 {
    let load = u128::from(load);
    // From none the load itself decides: there is nothing that it could be held against.
    if current != 0 && within_tolerance(load, target, current) {
        return current;
    }
    ceiling(load, target)
}

fn of_copies(seen: &[Milli], unseen: u32, unready: u32, target: Milli, current: u32) -> u32 {
    let load: u128 = seen.iter().copied().map(u128::from).sum();
    let measured = count(seen);
    let up = more_than(load, target, measured);
    let down = less_than(load, target, measured);
    if unseen == 0 && (unready == 0 || !up) {
        // What is not ready yet takes no part in a decision to go down.
        return match within_tolerance(load, target, measured) {
            true => current,
            false => ceiling(load, target),
        };
    }
    // The cautious guess: what could not be measured has nothing to do when there should be
    // more, and just what is aimed at when there should be fewer.
    let mut guessed = load;
    let mut members = measured;
    if down {
        guessed += u128::from(unseen) * u128::from(target);
        members = members.saturating_add(unseen);
    }
    if up {
        members = members.saturating_add(unseen).saturating_add(unready);
    }
    let turned = (up && less_than(guessed, target, members))
        || (down && more_than(guessed, target, members));
    if turned || within_tolerance(guessed, target, members) {
        return current;
    }
    let wanted = ceiling(guessed, target);
    match (up && wanted < current) || (down && current < wanted) {
        true => current,
        false => wanted,
    }
}

fn within_tolerance(load: u128, target: Milli, copies: u32) -> bool {
    let aimed = u128::from(target) * u128::from(copies);
    load.abs_diff(aimed) * TOLERANCE_PARTS <= aimed
}

fn more_than(load: u128, target: Milli, copies: u32) -> bool {
    u128::from(target) * u128::from(copies) < load
}

fn less_than(load: u128, target: Milli, copies: u32) -> bool {
    load < u128::from(target) * u128::from(copies)
}

fn ceiling(load: u128, target: Milli) -> u32 {
    u32::try_from(load.div_ceil(u128::from(target.max(1)))).unwrap_or(u32::MAX)
}

fn count(seen: &[Milli]) -> u32 {
    u32::try_from(seen.len()).unwrap_or(u32::MAX)
}
