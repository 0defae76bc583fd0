//! What can be said of a program, and under which conditions it was seen.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a probe says of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It has been seen to hold.
    Pass,
    /// A fact, neither good nor bad.
    Info,
    /// There is nothing to hold: the program has no such part.
    NotApplicable,
    /// It does not hold, and somebody has taken responsibility for that until a date.
    Waived,
    /// It does not hold, and harms less than a failure.
    Warn,
    /// It held in some trials and not in others.
    Flaky,
    /// It could not be seen, for the reason that the evidence gives. Never a pass.
    Unknown,
    /// It does not hold, in each of three trials.
    Fail,
}

impl Verdict {
    /// All of them, the best first.
    pub const ALL: [Self; 8] = [
        Self::Pass,
        Self::Info,
        Self::NotApplicable,
        Self::Waived,
        Self::Warn,
        Self::Flaky,
        Self::Unknown,
        Self::Fail,
    ];

    /// As it is written in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Info => "info",
            Self::NotApplicable => "not_applicable",
            Self::Waived => "waived",
            Self::Warn => "warn",
            Self::Flaky => "flaky",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As what a program runs: the same program behaves otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// As the child of a supervisor: `updraft up`, systemd.
    Child,
    /// As the first process of its process namespace: the entry point of a container. The
    /// kernel drops every signal for it that it has no handler for (`pid_namespaces(7)`).
    Pid1,
}

impl Shape {
    /// As it is written in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Child => "child",
            Self::Pid1 => "pid1",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a probe needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// Nothing but files.
    #[serde(rename = "static")]
    Static,
    /// `/proc`, pipes and sockets.
    T0,
    /// Linux namespaces, as root or by `user_namespaces(7)`.
    T1,
    /// `ptrace(2)`.
    T2,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::T0 => "T0",
            Self::T1 => "T1",
            Self::T2 => "T2",
        })
    }
}

/// One of the twelve factors, or one of what belongs to them and is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Factor {
    /// Codebase.
    I,
    /// Dependencies.
    II,
    /// Config.
    III,
    /// Backing services.
    IV,
    /// Build, release, run.
    V,
    /// Processes.
    VI,
    /// Port binding.
    VII,
    /// Concurrency.
    VIII,
    /// Disposability.
    IX,
    /// Dev/prod parity.
    X,
    /// Logs.
    XI,
    /// Admin processes.
    XII,
    /// Security, beside the twelve.
    S,
    /// Health, beside the twelve.
    H,
    /// API first, beside the twelve.
    A,
    /// Identity, beside the twelve.
    Id,
}

impl Factor {
    /// All of them, in their order.
    pub const ALL: [Self; 16] = [
        Self::I,
        Self::II,
        Self::III,
        Self::IV,
        Self::V,
        Self::VI,
        Self::VII,
        Self::VIII,
        Self::IX,
        Self::X,
        Self::XI,
        Self::XII,
        Self::S,
        Self::H,
        Self::A,
        Self::Id,
    ];

    /// Its number, or letter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::I => "I",
            Self::II => "II",
            Self::III => "III",
            Self::IV => "IV",
            Self::V => "V",
            Self::VI => "VI",
            Self::VII => "VII",
            Self::VIII => "VIII",
            Self::IX => "IX",
            Self::X => "X",
            Self::XI => "XI",
            Self::XII => "XII",
            Self::S => "S",
            Self::H => "H",
            Self::A => "A",
            Self::Id => "ID",
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::I => "Codebase",
            Self::II => "Dependencies",
            Self::III => "Config",
            Self::IV => "Backing services",
            Self::V => "Build, release, run",
            Self::VI => "Processes",
            Self::VII => "Port binding",
            Self::VIII => "Concurrency",
            Self::IX => "Disposability",
            Self::X => "Dev/prod parity",
            Self::XI => "Logs",
            Self::XII => "Admin processes",
            Self::S => "Security",
            Self::H => "Health",
            Self::A => "API first",
            Self::Id => "Identity",
        }
    }

    /// Whether it is one of the twelve.
    #[must_use]
    pub const fn is_of_the_twelve(self) -> bool {
        !matches!(self, Self::S | Self::H | Self::A | Self::Id)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
