//! The table of probes: the one place that knows which there are.
//!
//! What a person reads about a probe (why it exists, what the factor says, how to mend what it
//! finds) stands in `catalogue/FACTOR.toml` and is read by `explain`, the reports and the pages
//! of the documentation.

mod texts;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::verdict::{Factor, Shape, Tier};

pub use texts::{Language, Text, Texts};

/// How a probe looks at a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its stable id.
    pub id: ProbeId,
    /// The factor it judges.
    pub factor: Factor,
    /// What it needs of the machine.
    pub tier: Tier,
    /// Whether it judges the program in both shapes; else in none in particular.
    pub shaped: bool,
    /// Whether `--quick` asks it too.
    pub quick: bool,
}

macro_rules! probes {
    ($($name:ident $id:literal $factor:ident $tier:ident $shaped:ident $quick:ident;)*) => {
        /// The stable id of a probe.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProbeId {
            $(#[doc = concat!("`", $id, "`")] $name,)*
        }

        /// All probes, in the order of the factors.
        pub const PROBES: &[Probe] = &[
            $(Probe {
                id: ProbeId::$name,
                factor: Factor::$factor,
                tier: Tier::$tier,
                shaped: probes!(@ $shaped),
                quick: probes!(@ $quick),
            },)*
        ];

        impl ProbeId {
            /// As it is written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
    (@ both) => { true };
    (@ any) => { false };
    (@ quick) => { true };
    (@ full) => { false };
}

probes! {
    IRepo "I.repo" I Static any full;
    ISecret "I.secret" I Static any full;
    IiLock "II.lock" II Static any full;
    IiClean "II.clean" II T1 any full;
    IiExec "II.exec" II T2 any full;
    IiLib "II.lib" II T0 any full;
    IiiRequired "III.required" III T0 any full;
    IiiMalformed "III.malformed" III T0 any full;
    IiiVary "III.vary" III T0 any full;
    IiiFile "III.file" III T0 any full;
    IiiLeak "III.leak" III T0 any full;
    IiiGroup "III.group" III T0 any full;
    IvSwap "IV.swap" IV T0 any full;
    IvEgress "IV.egress" IV T1 any full;
    IvLate "IV.late" IV T0 any full;
    IvCut "IV.cut" IV T0 any full;
    IvStall "IV.stall" IV T0 any full;
    VPure "V.pure" V T0 any full;
    VNobuild "V.nobuild" V T2 any full;
    VRepro "V.repro" V T0 any full;
    ViWrite "VI.write" VI T0 any quick;
    ViReadonly "VI.readonly" VI T1 any full;
    ViAmnesia "VI.amnesia" VI T0 any full;
    ViTwins "VI.twins" VI T0 any full;
    ViiPort "VII.port" VII T0 any quick;
    ViiAddr "VII.addr" VII T0 any full;
    ViiExtra "VII.extra" VII T0 any full;
    ViiiN "VIII.n" VIII T0 any full;
    ViiiFg "VIII.fg" VIII T0 any full;
    ViiiJobs "VIII.jobs" VIII T0 any full;
    IxStart "IX.start" IX T0 any quick;
    IxTerm "IX.term" IX T0 both quick;
    IxDrain "IX.drain" IX T0 both quick;
    IxForward "IX.forward" IX T0 both quick;
    IxEarly "IX.early" IX T0 both full;
    IxIdle "IX.idle" IX T0 both full;
    IxDuck "IX.duck" IX T0 both full;
    IxKill "IX.kill" IX T0 any full;
    XEnv "X.env" X T0 any full;
    XKinds "X.kinds" X Static any full;
    XKeys "X.keys" X Static any full;
    XDigest "X.digest" X Static any full;
    XiStdout "XI.stdout" XI T0 any quick;
    XiFile "XI.file" XI T0 any full;
    XiStall "XI.stall" XI T0 any full;
    XiCtx "XI.ctx" XI T0 any full;
    XiiSame "XII.same" XII T0 any full;
    XiiFail "XII.fail" XII T0 any full;
    XiiAgain "XII.again" XII T0 any full;
    SUser "S.user" S T0 any full;
    HSplit "H.split" H T0 any full;
    AServed "A.served" A T0 any full;
    IdToken "ID.token" Id Static any full;
}

impl ProbeId {
    /// The probe of this id.
    #[must_use]
    pub fn probe(self) -> &'static Probe {
        // The enum and the table are made by one macro, in one order.
        &PROBES[self as usize]
    }

    /// The factor it judges.
    #[must_use]
    pub fn factor(self) -> Factor {
        self.probe().factor
    }
}

impl Probe {
    /// The shapes it judges a program in; one `None` where the shape does not matter.
    #[must_use]
    pub const fn shapes(&self) -> &'static [Option<Shape>] {
        if self.shaped { &[Some(Shape::Child), Some(Shape::Pid1)] } else { &[None] }
    }
}

/// There is no such probe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no probe `{0}`")]
pub struct UnknownProbe(pub String);

impl FromStr for ProbeId {
    type Err = UnknownProbe;

    fn from_str(text: &str) -> Result<Self, UnknownProbe> {
        let found = PROBES.iter().find(|probe| probe.id.as_str().eq_ignore_ascii_case(text));
        found.map(|probe| probe.id).ok_or_else(|| UnknownProbe(text.to_owned()))
    }
}

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ProbeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProbeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
