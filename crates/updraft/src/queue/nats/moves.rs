//! The moves of a job on JetStream.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind, Stream};

use super::index::{Entry, Taken, locked};
use super::{NatsStore, TRIES, scan};
use crate::queue::record::{
    Claimed, Fired, JobRecord, JobState, Leased, NewJob, Pushed, QueueCounts, Retried, millis,
    now_ms,
};
use crate::queue::store::{Filter, FireAt, StoreError};

/// So many jobs are passed over after another worker was quicker, at most.
const STEP_ASIDE: usize = 16;

/// How often a message is sent that nobody hears, and how long is waited in between.
const UNHEARD_MOST: u32 = 20;
const UNHEARD_PAUSE: Duration = Duration::from_millis(25);

/// What came of a message that expected to be the next of its subject.
enum Written {
    Yes,
    /// The server had its id already.
    Repeated,
    /// Somebody else was quicker.
    Outrun,
    /// The stream is full.
    Full,
}

/// A job with the place where it is.
pub(super) struct Found {
    pub(super) record: JobRecord,
    subject: String,
    pub(super) sequence: u64,
}

impl NatsStore {
    /// Writes the job as it stands now, if the last message of its subject is the expected
    /// one; 0: there is none.
    async fn write(
        &self,
        subject: &str,
        expected: u64,
        record: &JobRecord,
        message_id: Option<String>,
    ) -> Result<Written, StoreError> {
        let text = serde_json::to_vec(record).map_err(|error| StoreError::Refused(error.into()))?;
        let mut message = PublishMessage::build()
            .payload(text.into())
            .headers(scan::headers_of(record))
            .expected_last_subject_sequence(expected);
        if let Some(id) = message_id {
            message = message.message_id(id);
        }
        // Without its stream nobody would answer.
        self.streams().await?;
        match self.publish(subject, message).await {
            Ok(done) if done.duplicate => Ok(Written::Repeated),
            Ok(_) => Ok(Written::Yes),
            Err(error) => self.unwritten(error).await,
        }
    }

    /// Sends a message and waits until it is kept. What nobody has heard is said again: a stream
    /// that another process is making is told of a moment before it listens, and one that is gone,
    /// with the disk of its server, is made again.
    async fn publish(
        &self,
        subject: &str,
        message: PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        let mut unheard = 0;
        loop {
            let sent = self.context.send_publish(subject.to_owned(), message.clone()).await;
            let answer = match sent {
                Ok(acknowledged) => acknowledged.await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                    unheard += 1;
                    if UNHEARD_MOST <= unheard {
                        return Err(error);
                    }
                    tokio::time::sleep(UNHEARD_PAUSE).await;
                    // What is wrong with that is wrong with the next message too.
                    drop(self.ensure_streams().await);
                }
                answer => return answer,
            }
        }
    }

    /// Why a message was not taken.
    async fn unwritten(&self, error: PublishError) -> Result<Written, StoreError> {
        match error.kind() {
            PublishErrorKind::WrongLastSequence => Ok(Written::Outrun),
            PublishErrorKind::MaxPayloadExceeded => Err(StoreError::Refused(error.into())),
            // The driver has no word for a full stream.
            PublishErrorKind::Other => {
                let info = self.live().await?.get_info().await;
                let info = info.map_err(|error| StoreError::Away(error.into()))?;
                let most = u64::try_from(info.config.max_messages).unwrap_or(u64::MAX);
                if most <= info.state.messages {
                    return Ok(Written::Full);
                }
                Err(StoreError::Away(error.into()))
            }
            _ => Err(StoreError::Away(error.into())),
        }
    }

    /// A new job. With a message id, one that the server has seen is a duplicate.
    pub(super) async fn create(
        &self,
        job: &NewJob,
        message_id: Option<String>,
    ) -> Result<Pushed, StoreError> {
        let subject = self.subjects.job(job);
        let record = JobRecord::waiting(job.clone());
        let mut expected = 0;
        for _ in 0..TRIES {
            match self.write(&subject, expected, &record, message_id.clone()).await? {
                Written::Yes => return Ok(Pushed::New),
                Written::Repeated => return Ok(Pushed::Duplicate(job.id.clone())),
                Written::Full => return Ok(Pushed::Full),
                Written::Outrun => {}
            }
            expected = match self.last(self.live().await?, &subject).await? {
                // Its key is held no longer; nobody has taken the job away yet.
                Some(found) if found.record.is_over() => found.sequence,
                Some(found) => return Ok(Pushed::Duplicate(found.record.job.id)),
                None => 0,
            };
        }
        Err(StoreError::Away("others kept writing the same job".into()))
    }

    /// Takes up to `most` of the jobs that the index knows to be due.
    pub(super) async fn take(&self, most: usize) -> Result<Claimed, StoreError> {
        let mut claimed = Claimed::default();
        let mut aside = 0;
        while claimed.jobs.len() < most {
            let skip = if aside == 0 { 0 } else { fastrand::usize(0..aside) };
            let next = Taken::next(&self.index, now_ms(), skip);
            let Some((taken, subject, entry)) = next else { break };
            match self.take_one(&subject, entry, &mut claimed).await {
                Ok(ours) => {
                    taken.settle();
                    if !ours {
                        aside = (aside * 2).clamp(2, STEP_ASIDE);
                    }
                }
                Err(error) if claimed.jobs.is_empty() => return Err(error),
                // What is ours already must not be lost for what is not.
                Err(_) => break,
            }
        }
        claimed.next_in_ms = locked(&self.index).next_at().map(|at| (at - now_ms()).max(0));
        Ok(claimed)
    }

    /// One job whose time has come; `false`: somebody else was quicker.
    async fn take_one(
        &self,
        subject: &str,
        entry: Entry,
        claimed: &mut Claimed,
    ) -> Result<bool, StoreError> {
        let Some(mut record) = self.at(subject, entry.sequence).await? else { return Ok(false) };
        match record.state {
            JobState::Done => {
                self.delete(self.live().await?, entry.sequence).await?;
                return Ok(true);
            }
            JobState::Dead => {
                self.move_to_the_dead(subject).await?;
                return Ok(true);
            }
            JobState::Waiting | JobState::Leased => {}
        }
        if record.state == JobState::Leased && record.job.max_attempts <= record.attempts {
            record.state = JobState::Dead;
            record.last_error = Some("the worker died".to_owned());
            record.lease_token = None;
            record.at_ms = now_ms();
            if let Written::Yes = self.write(subject, entry.sequence, &record, None).await? {
                self.move_to_the_dead(subject).await?;
                claimed.buried += 1;
            }
            return Ok(true);
        }
        let token = uuid::Uuid::now_v7().to_string();
        record.state = JobState::Leased;
        record.attempts += 1;
        record.at_ms = now_ms() + millis(self.rules.lease);
        record.lease_token = Some(token.clone());
        match self.write(subject, entry.sequence, &record, None).await? {
            Written::Yes => {
                let place = subject.to_owned();
                let (attempts, job) = (record.attempts, record.job);
                claimed.jobs.push(Leased { job, attempts, token, place });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) async fn prolong(&self, job: &Leased) -> Result<bool, StoreError> {
        let until = now_ms() + millis(self.rules.lease);
        self.change(job, |record| record.at_ms = until).await
    }

    /// Changes a job while its lease is the worker's; `false`: it is not.
    pub(super) async fn change(
        &self,
        job: &Leased,
        change: impl Fn(&mut JobRecord),
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let Some(mut found) = self.held(job).await? else { return Ok(false) };
            change(&mut found.record);
            match self.write(&job.place, found.sequence, &found.record, None).await? {
                Written::Yes => return Ok(true),
                _ => continue,
            }
        }
        Ok(false)
    }

    /// The job is done.
    pub(super) async fn end(&self, job: &Leased) -> Result<bool, StoreError> {
        let held = job.job.held_until().filter(|until| now_ms() < *until);
        if let Some(until) = held {
            let done = |record: &mut JobRecord| {
                record.state = JobState::Done;
                record.at_ms = until;
                record.lease_token = None;
            };
            return self.change(job, done).await;
        }
        for _ in 0..TRIES {
            let Some(found) = self.held(job).await? else { return Ok(false) };
            // A sequence that was written over cannot be deleted.
            if self.delete(self.live().await?, found.sequence).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The job, if its lease is still the worker's.
    async fn held(&self, job: &Leased) -> Result<Option<Found>, StoreError> {
        let found = self.last(self.live().await?, &job.place).await?;
        Ok(found.filter(|found| found.record.lease_token.as_deref() == Some(&job.token)))
    }

    /// The second half of giving a job up; whoever sees a job that stopped half way does it.
    pub(super) async fn move_to_the_dead(&self, subject: &str) -> Result<(), StoreError> {
        if let Some(sequence) = self.copy_to_the_dead(subject).await? {
            self.delete(self.live().await?, sequence).await?;
        }
        Ok(())
    }

    /// Gives the sequence that can be deleted now; `None`: there is nothing to move, or no room.
    pub(super) async fn copy_to_the_dead(&self, subject: &str) -> Result<Option<u64>, StoreError> {
        let streams = self.streams().await?;
        let found = self.last(&streams.live, subject).await?;
        let Some(found) = found.filter(|found| found.record.state == JobState::Dead) else {
            return Ok(None);
        };
        let dead = self.subjects.dead(&found.record.job.id);
        let there = self.last(&streams.dead, &dead).await?;
        let expected = there.map_or(0, |there| there.sequence);
        Ok(match self.write(&dead, expected, &found.record, None).await? {
            Written::Yes | Written::Outrun | Written::Repeated => Some(found.sequence),
            Written::Full => None,
        })
    }

    /// The last message of a subject.
    async fn last(&self, stream: &Stream, subject: &str) -> Result<Option<Found>, StoreError> {
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(Found {
                record: scan::record_of(&message.payload)?,
                subject: subject.to_owned(),
                sequence: message.sequence,
            })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(StoreError::Away(error.into())),
        }
    }

    /// The message of this sequence, if nothing was written over it.
    async fn at(&self, subject: &str, sequence: u64) -> Result<Option<JobRecord>, StoreError> {
        match self.live().await?.get_raw_message(sequence).await {
            // A server that was killed may give a number twice.
            Ok(message) if message.subject.as_str() != subject => Ok(None),
            Ok(message) => scan::record_of(&message.payload).map(Some),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(ref said)
                    if said.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(StoreError::Away(error.into())),
            },
        }
    }

    /// Deletes one message; `false`: it is not there any more.
    async fn delete(&self, stream: &Stream, sequence: u64) -> Result<bool, StoreError> {
        use async_nats::jetstream::stream::DeleteMessageErrorKind;
        match stream.delete_message(sequence).await {
            Ok(deleted) => Ok(deleted),
            Err(error) => match error.kind() {
                DeleteMessageErrorKind::JetStream(_) => Ok(false),
                _ => Err(StoreError::Away(error.into())),
            },
        }
    }

    pub(super) async fn fired_last(&self, schedule: &str) -> Result<Option<i64>, StoreError> {
        let fires = &self.streams().await?.fires;
        let subject = self.subjects.fires_of(schedule);
        match fires.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let text = std::str::from_utf8(&message.payload).unwrap_or_default();
                Ok(text.split(' ').next().and_then(|time| time.parse().ok()))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(StoreError::Away(error.into())),
        }
    }

    pub(super) async fn note_fire(&self, at: FireAt<'_>, what: &str) -> Result<(), StoreError> {
        self.streams().await?;
        let text = format!("{} {what}", at.due_ms);
        let message = PublishMessage::build()
            .payload(text.into())
            .message_id(format!("{}:{}", at.schedule, at.due_ms));
        let noted = self.publish(&self.subjects.fires_of(at.schedule), message).await.map(drop);
        noted.map_err(|error| StoreError::Away(error.into()))
    }

    /// The job of a fire has the id of the fire, which the server takes once; the note comes
    /// after it, so a scheduler that dies in between loses nothing.
    pub(super) async fn fire_once(
        &self,
        at: FireAt<'_>,
        job: &NewJob,
    ) -> Result<Fired, StoreError> {
        if self.fired_last(at.schedule).await?.is_some_and(|last| at.due_ms <= last) {
            return Ok(Fired::Before);
        }
        let id = format!("fire:{}:{}", at.schedule, at.due_ms);
        Ok(match self.create(job, Some(id)).await? {
            Pushed::Full => Fired::Full,
            Pushed::New => {
                self.note_fire(at, &job.id).await?;
                Fired::Now
            }
            Pushed::Duplicate(holder) if holder == job.id => {
                self.note_fire(at, &job.id).await?;
                Fired::Before
            }
            Pushed::Duplicate(_) => {
                self.note_fire(at, "overlaps").await?;
                Fired::Overlaps
            }
        })
    }

    pub(super) async fn count(&self) -> Result<QueueCounts, StoreError> {
        let streams = self.streams().await?;
        let live = scan::all(&streams.live, true, self.most()).await?;
        let mut counts = QueueCounts::default();
        let now = now_ms();
        for message in &live {
            let Some((subject, entry)) = scan::entry_of(message)? else { continue };
            match entry.state {
                JobState::Waiting => {
                    counts.waiting += 1;
                    let due_for = u64::try_from(now - entry.at_ms).unwrap_or_default();
                    counts.oldest_ms = counts.oldest_ms.max(due_for);
                }
                JobState::Leased => counts.leased += 1,
                JobState::Dead => {
                    let moved = self.is_among_the_dead(&subject, entry.sequence).await?;
                    counts.dead += u64::from(!moved);
                }
                JobState::Done => {}
            }
        }
        let dead = streams.dead.get_info().await;
        let dead = dead.map_err(|error| StoreError::Away(error.into()))?;
        counts.dead += dead.state.messages;
        Ok(counts)
    }

    /// Whether the first half of giving a job up is done: then it is in both streams.
    async fn is_among_the_dead(&self, subject: &str, sequence: u64) -> Result<bool, StoreError> {
        let Some(record) = self.at(subject, sequence).await? else { return Ok(true) };
        let dead = self.subjects.dead(&record.job.id);
        Ok(self.last(&self.streams().await?.dead, &dead).await?.is_some())
    }

    pub(super) async fn records(&self, filter: Filter) -> Result<Vec<JobRecord>, StoreError> {
        let streams = self.streams().await?;
        let mut found = Vec::new();
        if filter.state != Some(JobState::Dead) {
            for message in scan::all(&streams.live, false, self.most()).await? {
                found.push(scan::record_of(&message.payload)?);
            }
        }
        if filter.state.is_none_or(|state| state == JobState::Dead) {
            for message in scan::all(&streams.dead, false, filter.most).await? {
                found.push(scan::record_of(&message.payload)?);
            }
        }
        found.retain(|record| match filter.state {
            Some(state) => record.state == state,
            None => record.state != JobState::Done,
        });
        found.sort_by(|a, b| a.job.id.cmp(&b.job.id));
        // On its way from one stream to the other it is in both.
        found.dedup_by(|later, first| later.job.id == first.job.id);
        found.truncate(filter.most);
        Ok(found)
    }

    /// The job of this id, wherever it is.
    pub(super) async fn found(&self, id: &str) -> Result<Option<Found>, StoreError> {
        let streams = self.streams().await?;
        if let Some(found) = self.last(&streams.dead, &self.subjects.dead(id)).await? {
            return Ok(Some(found));
        }
        for message in scan::all(&streams.live, true, self.most()).await? {
            let Some((subject, entry)) = scan::entry_of(&message)? else { continue };
            if !self.subjects.may_be_of(&subject, id) {
                continue;
            }
            match self.at(&subject, entry.sequence).await? {
                Some(record) if record.job.id == id => {
                    return Ok(Some(Found { record, subject, sequence: entry.sequence }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    pub(super) async fn take_up(&self, id: &str) -> Result<Retried, StoreError> {
        let streams = self.streams().await?;
        let dead = self.last(&streams.dead, &self.subjects.dead(id)).await?;
        let Some(found) = dead else { return Ok(Retried::NotDead) };
        let mut job = found.record.job;
        job.due_ms = now_ms();
        match self.create(&job, None).await? {
            Pushed::New => {}
            // An earlier try came half way.
            Pushed::Duplicate(holder) if holder == job.id => {}
            Pushed::Duplicate(_) => return Ok(Retried::Occupied),
            Pushed::Full => {
                return Err(StoreError::Refused("the queue is full".into()));
            }
        }
        self.delete(&streams.dead, found.sequence).await?;
        Ok(Retried::Waiting)
    }

    pub(super) async fn drop_job(&self, id: &str) -> Result<bool, StoreError> {
        let streams = self.streams().await?;
        let Some(found) = self.found(id).await? else { return Ok(false) };
        let stream = match found.record.state {
            JobState::Leased => return Ok(false),
            JobState::Dead if found.subject == self.subjects.dead(id) => &streams.dead,
            JobState::Dead | JobState::Waiting | JobState::Done => &streams.live,
        };
        self.delete(stream, found.sequence).await
    }
}

impl JobRecord {
    /// Whether it is done, and its key held no longer.
    fn is_over(&self) -> bool {
        self.state == JobState::Done && self.at_ms <= now_ms()
    }
}
