//! The keys of what a process or task may use and do.

use super::super::form;
use super::super::shape::{Absent, Form, Key, Record, Shape};
use super::key;
use crate::Limits;

use Absent::Means;

/// The key of a process or task for its limits.
pub(super) const LIMITS_KEY: Key = key(
    "limits",
    Shape::Record(&LIMITS),
    Means("none"),
    "What it and all that it starts may use, at most.",
);

/// The key of a process for where it may write.
pub(super) const WRITABLE_KEY: Key = key(
    "writable",
    Shape::List(&Shape::Path),
    Means("it writes wherever its user may"),
    "The only files and folders where it may write, relative to the service, beside its \
     resources and its private temporary folder; a folder that is not there is made.",
);

/// The same key of a task.
pub(super) const TASK_WRITABLE_KEY: Key = Key {
    absent: Means("where the processes of its service may write, together"),
    ..key("writable", Shape::List(&Shape::Path), Means(""), WRITABLE_KEY.doc)
};

/// The key of a process or task for what it keeps of the powers of root.
pub(super) const CAPABILITIES_KEY: Key = key(
    "capabilities",
    Shape::List(&CAPABILITY),
    Means("none"),
    "What it keeps of the powers of root, by the names of capabilities(7) without `CAP_`.",
);

/// The most open files that the kernel lets a process have (`fs.nr_open`), where nobody has
/// changed that.
const FILES_MOST: i64 = 1_048_576;
/// The most processes that a kernel has (`PID_MAX_LIMIT`).
const PIDS_MOST: i64 = 4_194_304;

pub(super) static LIMITS: Record = Record {
    title: "`limits = { … }`",
    doc: "What a process or task and all that it starts may use, at most. Limits are held by \
          control groups, but for `files`; where this machine or user has none, it is said at \
          the start and in `updraft ps --json`.",
    keys: &[
        key(
            "memory",
            Shape::Either(&[
                Shape::Whole {
                    least: Limits::MEMORY_LEAST.cast_signed(),
                    most: Limits::MEMORY_MOST.cast_signed(),
                },
                Shape::Form(&form::MEMORY),
            ]),
            Means("no limit"),
            "Memory; who needs more is killed. A number is bytes.",
        ),
        key(
            "cpu",
            Shape::Either(&[Shape::Number, Shape::Form(&form::CPU)]),
            Means("no limit"),
            "Processor time; who needs more waits. A number is cores; `\"50%\"` is half of one.",
        ),
        key(
            "files",
            Shape::Whole { least: 16, most: FILES_MOST },
            Means("what the caller may open"),
            "Open files and connections of each of its processes.",
        ),
        key(
            "pids",
            Shape::Whole { least: 1, most: PIDS_MOST },
            Means("no limit"),
            "Processes and threads.",
        ),
    ],
    exactly_one: &[],
};

static CAPABILITY: Shape = Shape::Form(&NAME_OF_CAPABILITY);

/// A power of root.
static NAME_OF_CAPABILITY: Form = Form {
    what: "a capability such as \"NET_BIND_SERVICE\"",
    code: "manifest::unknown_word",
    pattern: "^(?!CAP_)[A-Z]+(_[A-Z]+)*$",
    fits: |text| CAPABILITIES.contains(&text),
    words: CAPABILITIES,
    help: "write its name of capabilities(7) in capital letters, without `CAP_`",
};

/// Linux 5.9 and later, in the order of their numbers.
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];
