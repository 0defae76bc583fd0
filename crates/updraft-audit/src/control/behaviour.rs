//! What can be wrong with a control.

/// One thing that a control does otherwise than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Nothing is wrong.
    Good,
    /// SIGTERM is ignored.
    IgnoresTerm,
    /// SIGTERM ends it at once, with exit code 0 and whatever is under way.
    DropsRequests,
    /// It is started by a parent that does not pass signals on.
    Wrapped,
    /// It listens on a port of its own choice.
    OtherPort,
    /// It says nothing of its requests.
    Silent,
    /// It is a task that asks its resource.
    Task,
    /// It is a task that succeeds without its resource.
    TaskSwallows,
    /// It is a task that can run once.
    TaskOnce,
    /// It is a task that can run again.
    TaskAgain,
    /// It takes a second to start.
    SlowStart,
    /// It ignores SIGTERM as long as it starts.
    DeafEarly,
    /// After SIGTERM it waits until no client is connected any more.
    WaitsForIdle,
    /// It does not start where the lock of one that was killed lies.
    StaleLock,
    /// It goes into the background.
    Daemon,
    /// What it says stays in a buffer, and is lost with it.
    Buffered,
    /// It says what it was asked to a file.
    LogsToFile,
    /// Rather than wait for a reader it drops lines.
    DropsLines,
    /// It says to which trace a request belongs.
    LogsTrace,
    /// It ends at once, in order.
    Exits,
    /// It keeps a database in its folder.
    WritesDatabase,
    /// It puts code into its folder.
    WritesCode,
    /// It does not start where it cannot write its folder.
    NeedsFolder,
    /// It does not start without a variable that leads to what it has not declared.
    NeedsUndeclared,
    /// It runs an executable of the system.
    Executes,
    /// It runs a compiler.
    Builds,
    /// A debugger listens.
    Inspector,
    /// It does not start without an answer of what it needs, whose address is in `PEER`.
    AsksPeer,
    /// Its readiness is that of what it needs, whose address is in `PEER`; its liveness is not.
    Splits,
    /// It serves its contract.
    ServesApi,
    /// It tries to reach an address that it was not given.
    Dials,
    /// It listens on loopback only.
    Loopback,
    /// It answers with its time zone.
    TellsZone,
    /// Nothing is wrong: it ends, and says so by name, when its configuration breaks its contract.
    Contract,
    /// It ends when its configuration breaks its contract, and does not say what is wrong.
    Unnamed,
    /// It works with one value of its configuration only.
    OneValue,
    /// It has its configuration from a file.
    ReadsFile,
    /// It writes its secret into its log.
    LeaksSecret,
    /// It behaves otherwise in an environment of that name.
    EnvironmentName,
    /// It uses the first address of its resource that it ever got.
    RemembersAddress,
    /// It says that it is ready without its resource.
    AlwaysReady,
    /// It never connects again to its resource.
    NeverReconnects,
    /// Whether it lives is its resource's to say, and it waits for that without an end.
    LivenessAsks,
    /// It keeps what is written in its memory.
    KeepsInMemory,
    /// There can be one of it only.
    Alone,
    /// What is written to it is a job, which is there to be read when it is done.
    Enqueues,
    /// It does jobs, and says that one is done when it is.
    Works,
    /// It does jobs, and says that one is done before it does it.
    WorksForgetful,
}

const WORDS: &[(&str, Behaviour)] = &[
    ("good", Behaviour::Good),
    ("ignores-term", Behaviour::IgnoresTerm),
    ("drops-requests", Behaviour::DropsRequests),
    ("wrapped", Behaviour::Wrapped),
    ("other-port", Behaviour::OtherPort),
    ("silent", Behaviour::Silent),
    ("task", Behaviour::Task),
    ("task-swallows", Behaviour::TaskSwallows),
    ("task-once", Behaviour::TaskOnce),
    ("task-again", Behaviour::TaskAgain),
    ("slow-start", Behaviour::SlowStart),
    ("deaf-early", Behaviour::DeafEarly),
    ("waits-for-idle", Behaviour::WaitsForIdle),
    ("stale-lock", Behaviour::StaleLock),
    ("daemon", Behaviour::Daemon),
    ("buffered", Behaviour::Buffered),
    ("logs-to-file", Behaviour::LogsToFile),
    ("drops-lines", Behaviour::DropsLines),
    ("logs-trace", Behaviour::LogsTrace),
    ("exits", Behaviour::Exits),
    ("writes-database", Behaviour::WritesDatabase),
    ("writes-code", Behaviour::WritesCode),
    ("needs-folder", Behaviour::NeedsFolder),
    ("needs-undeclared", Behaviour::NeedsUndeclared),
    ("executes", Behaviour::Executes),
    ("builds", Behaviour::Builds),
    ("inspector", Behaviour::Inspector),
    ("asks-peer", Behaviour::AsksPeer),
    ("splits", Behaviour::Splits),
    ("serves-api", Behaviour::ServesApi),
    ("dials", Behaviour::Dials),
    ("loopback", Behaviour::Loopback),
    ("tells-zone", Behaviour::TellsZone),
    ("contract", Behaviour::Contract),
    ("unnamed", Behaviour::Unnamed),
    ("one-value", Behaviour::OneValue),
    ("reads-file", Behaviour::ReadsFile),
    ("leaks-secret", Behaviour::LeaksSecret),
    ("environment-name", Behaviour::EnvironmentName),
    ("remembers-address", Behaviour::RemembersAddress),
    ("always-ready", Behaviour::AlwaysReady),
    ("never-reconnects", Behaviour::NeverReconnects),
    ("liveness-asks", Behaviour::LivenessAsks),
    ("keeps-in-memory", Behaviour::KeepsInMemory),
    ("alone", Behaviour::Alone),
    ("enqueues", Behaviour::Enqueues),
    ("works", Behaviour::Works),
    ("works-forgetful", Behaviour::WorksForgetful),
];

impl Behaviour {
    /// As it stands in arguments.
    pub(crate) fn as_str(self) -> &'static str {
        WORDS.iter().find(|(_, behaviour)| *behaviour == self).map_or("good", |(word, _)| word)
    }

    /// Those of a list with commas; `None`: one of them does not exist.
    pub(super) fn parse_all(words: &str) -> Option<Vec<Self>> {
        let parse = |word: &str| WORDS.iter().find(|(own, _)| *own == word).map(|(_, it)| *it);
        words.split(',').map(parse).collect()
    }
}
