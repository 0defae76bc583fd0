//! Queues as real processes see them: workers that are killed, schedulers that are many,
//! servers that go away.

#[cfg(test)]
mod away;
#[cfg(test)]
mod cron;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod verb;
#[cfg(test)]
mod worker;
