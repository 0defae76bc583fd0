//! Turns counters into loads: processor time between two decisions, and requests in flight
//! on the average of many looks.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::load::{Milli, Sample};

/// One copy as it is at a look.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// The name of its scope.
    pub(crate) label: String,
    /// Which life of it this is; `None`: it is not ready.
    pub(crate) ready: Option<u32>,
}

/// What was measured of the copies of one process.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The reading at the last decision, by copy: its life, when, and its processor time.
    processors: BTreeMap<String, (u32, Instant, Duration)>,
    /// Requests in flight since the last decision, by copy: their sum, and the looks.
    requests: BTreeMap<String, (u64, u64)>,
}

impl Meter {
    /// The processors that the copies have used since the last call, in thousandths of one.
    /// A copy counts when it has been ready at both ends of that time, because what it does
    /// to become ready is no load. `read` gives the processor time of a copy since its start.
    pub(crate) fn processors(
        &mut self,
        now: Instant,
        copies: &[Copy],
        read: &BTreeMap<String, Duration>,
    ) -> Sample {
        let before = std::mem::take(&mut self.processors);
        let (mut seen, mut unseen, mut unready) = (Vec::new(), 0, 0);
        for copy in copies {
            let Some(life) = copy.ready else {
                unready += 1;
                continue;
            };
            let Some(time) = read.get(&copy.label) else {
                unseen += 1;
                continue;
            };
            self.processors.insert(copy.label.clone(), (life, now, *time));
            let earlier = before.get(&copy.label).filter(|(earlier, ..)| *earlier == life);
            match earlier.and_then(|(_, at, used)| part(time.checked_sub(*used)?, now - *at)) {
                Some(part) => seen.push(part),
                None => unready += 1,
            }
        }
        Sample::PerCopy { seen, unseen, unready }
    }

    /// Takes one look at the requests in flight, by copy.
    pub(crate) fn look(&mut self, in_flight: &BTreeMap<String, u64>) {
        for (label, requests) in in_flight {
            let (sum, looks) = self.requests.entry(label.clone()).or_default();
            *sum = sum.saturating_add(*requests);
            *looks += 1;
        }
    }

    /// Requests in flight at the copies on the average since the last call, in thousandths.
    pub(crate) fn requests(&mut self, copies: &[Copy]) -> Sample {
        let looked = std::mem::take(&mut self.requests);
        let (mut seen, mut unready) = (Vec::new(), 0);
        for copy in copies {
            let looked = looked.get(&copy.label).filter(|(_, looks)| *looks != 0);
            match looked.filter(|_| copy.ready.is_some()) {
                Some((sum, looks)) => seen.push(sum.saturating_mul(1000) / looks),
                // No gateway knows one that is not ready, or that has become so just now.
                None => unready += 1,
            }
        }
        Sample::PerCopy { seen, unseen: 0, unready }
    }
}

/// Thousandths of one processor; `None`: no time has passed.
fn part(used: Duration, passed: Duration) -> Option<Milli> {
    let parts = used.as_nanos().checked_mul(1000)?.checked_div(passed.as_nanos())?;
    u64::try_from(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn copies(lives: &[(u32, Option<u32>)]) -> Vec<Copy> {
        let copy = |(label, ready): &(u32, _)| Copy { label: label.to_string(), ready: *ready };
        lives.iter().map(copy).collect()
    }

    fn read(times: &[(u32, u64)]) -> BTreeMap<String, Duration> {
        let time =
            |(label, millis): &(u32, u64)| (label.to_string(), Duration::from_millis(*millis));
        times.iter().map(time).collect()
    }

    fn sample(seen: &[Milli], unseen: u32, unready: u32) -> Sample {
        Sample::PerCopy { seen: seen.to_vec(), unseen, unready }
    }

    #[test]
    fn processor_time_counts_between_two_readings_of_one_ready_life() {
        let (mut meter, begin) = (Meter::default(), Instant::now());
        let at = |seconds: u32| begin + SECOND * seconds;
        let two = copies(&[(1, Some(7)), (2, None)]);
        // The first reading has nothing before it, and the other is not ready.
        let first = meter.processors(at(0), &two, &read(&[(1, 5000), (2, 900)]));
        assert_eq!(first, sample(&[], 0, 2));
        let two = copies(&[(1, Some(7)), (2, Some(8))]);
        let second = meter.processors(at(2), &two, &read(&[(1, 6400), (2, 1000)]));
        assert_eq!(second, sample(&[700], 0, 1), "what it took to become ready is no load");
        let third = meter.processors(at(4), &two, &read(&[(1, 6400), (2, 5000)]));
        assert_eq!(third, sample(&[0, 2000], 0, 0), "idle, and two processors");
        let again = copies(&[(1, Some(9)), (2, Some(8))]);
        let fourth = meter.processors(at(5), &again, &read(&[(1, 6500)]));
        assert_eq!(fourth, sample(&[], 1, 1), "another life, and one that cannot be read");
        let fifth = meter.processors(at(6), &copies(&[]), &read(&[]));
        assert_eq!(fifth, sample(&[], 0, 0));
    }

    #[test]
    fn requests_in_flight_are_the_average_of_all_looks() {
        let mut meter = Meter::default();
        for looks in [[(1, 4), (2, 0)], [(1, 6), (2, 1)], [(1, 8), (2, 0)], [(1, 2), (2, 0)]] {
            meter
                .look(&looks.map(|(label, looked): (u32, u64)| (label.to_string(), looked)).into());
        }
        let three = copies(&[(1, Some(1)), (2, Some(1)), (3, Some(1))]);
        assert_eq!(meter.requests(&three), sample(&[5000, 250], 0, 1));
        assert_eq!(meter.requests(&three), sample(&[], 0, 3), "each look counts once");
    }
}
