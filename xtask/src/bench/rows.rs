//! The workloads, and what each should come to. docs/benchmarks.md says what they do.

use super::program::{FLOOR, PLAIN};

/// A workload is a script `bench/NAME.lua`, and `bench/peers/PEER/NAME.lua` for those that have one.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) targets: &'static [Target],
}

pub(super) enum Kind {
    /// The script compares by itself: it prints lines `TITLE N ns RATIO`.
    Pair,
    /// Each script prints `SECONDS PROCESSOR-SECONDS MESSAGES`. `counts` is its argument, `calls` are two smaller ones for counting system
    /// calls: what the program does once cancels out.
    Race { counts: u32, calls: Option<(u32, u32)> },
    /// Each script prints `KILOBYTES OBJECTS`.
    Memory { counts: u32 },
    /// The script does so much work, its argument, with as many threads as the second argument says. Against it `bench/job.lua`, by
    /// one process, and half of it by each of two. What is timed are the whole programs.
    Split { work: u32 },
    /// So much work by one thread, and as much by each of two; against it `bench/job.lua` with its own work, by one process, and by each of two.
    Twice { work: u32, job: u32 },
    /// The script runs the primitive that its first argument names as often as the second says; without, it prints the names.
    /// Instructions are counted in two runs that differ by so much.
    Instructions { counts: (u32, u32) },
    /// The script prints lines `TITLE  SIZE  N ns` for the size that is its argument.
    Growth { sizes: &'static [u32] },
    /// The script loads the library, and prints how many milliseconds of processor time the process has taken by then. Against it
    /// `bench/bare.lua`. The median of so many, one after the other.
    Startup { times: u32 },
}

impl Kind {
    /// Whether it is about waiting as such, which differs from one Lua to the other most.
    pub(super) fn is_primitive(&self) -> bool {
        matches!(self, Self::Pair | Self::Instructions { .. })
    }
}

/// What should be at most `limit`.
pub(super) enum Target {
    /// The ratio to a bare pair in that line; `old` where Lua has no continuations (5.1 and LuaJIT).
    Pair { line: &'static str, limit: f64, old: f64 },
    /// The ratio of our processor time to that of a peer.
    Time { peer: &'static str, limit: f64 },
    /// System calls a message.
    Calls { limit: f64 },
    /// Kilobytes an object.
    Each { limit: f64 },
    /// The ratio of our memory to that of a peer.
    Memory { peer: &'static str, limit: f64 },
    /// By how much two threads shorten the work, to the same of two processes.
    Split { limit: f64 },
    /// How much longer two threads take for twice the work.
    Twice { limit: f64 },
    /// How much more an operation takes with the most around it than with the least: a logarithm grows by this much. Or so many times
    /// as much more as bare coroutines take that are resumed in the same order: those have nothing but the caches.
    Growth { limit: f64, bare: f64 },
    /// Milliseconds more than the bare interpreter.
    Startup { limit: f64 },
}

/// What is measured, and what it should come to. This table has all targets.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "event",
        title: "an event awaited and emitted, against a bare resume/yield pair",
        kind: Kind::Pair,
        targets: &[Target::Pair { line: "event (string)", limit: 1.7, old: 2.5 }],
    },
    Workload {
        name: "suspend",
        title: "system.suspend() in a loop, against a bare resume/yield pair",
        kind: Kind::Pair,
        targets: &[Target::Pair { line: "suspend()", limit: 1.2, old: 2.0 }],
    },
    Workload {
        name: "instructions",
        title: "instructions of a primitive, in the process",
        kind: Kind::Instructions { counts: (2000, 12_000) },
        targets: &[],
    },
    Workload {
        name: "growth",
        title: "operations with 10, 1000 and 100 000 others that wait",
        kind: Kind::Growth { sizes: &[10, 1000, 100_000] },
        targets: &[Target::Growth { limit: 5.0, bare: 1.25 }],
    },
    Workload {
        name: "startup",
        title: "processor time until the first line of a program that loads the library",
        kind: Kind::Startup { times: 20 },
        targets: &[Target::Startup { limit: 1.0 }],
    },
    Workload {
        name: "echo",
        title: "64 connections, 512-byte requests, 5-byte replies",
        kind: Kind::Race { counts: 1000, calls: Some((50, 250)) },
        targets: &[
            Target::Time { peer: "luv", limit: 0.75 },
            Target::Time { peer: "cqueues", limit: 0.5 },
            Target::Calls { limit: 2.15 },
        ],
    },
    Workload {
        name: "pingpong",
        title: "one connection, 64 bytes to and fro",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "upload",
        title: "one connection, writes of 512 bytes",
        kind: Kind::Race { counts: 200_000, calls: Some((5_000, 25_000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.5 }],
    },
    Workload {
        name: "udp",
        title: "two UDP sockets, 64 bytes to and fro",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "local",
        title: "64 local connections, 512-byte requests, 5-byte replies",
        kind: Kind::Race { counts: 1000, calls: Some((50, 250)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "bulk",
        title: "one connection, writes of a mebibyte",
        kind: Kind::Race { counts: 2000, calls: Some((50, 250)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }, Target::Time { peer: FLOOR, limit: 1.05 }],
    },
    Workload {
        name: "connect",
        title: "connections made, accepted and closed",
        kind: Kind::Race { counts: 5000, calls: Some((200, 1000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "active",
        title: "10 000 connections, of which 1 % is used",
        kind: Kind::Race { counts: 500, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "timers",
        title: "20 000 live timers",
        kind: Kind::Race { counts: 30, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "start",
        title: "processes, one after the other",
        kind: Kind::Race { counts: 300, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "children",
        title: "processes, 64 at once",
        kind: Kind::Race { counts: 10, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "pipe",
        title: "100 megabytes through a child",
        kind: Kind::Race { counts: 100, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "exchange",
        title: "numbers to a task on another thread and back",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "cqueues", limit: 0.5 }, Target::Time { peer: "luv", limit: 0.5 }],
    },
    Workload {
        name: "exchange1",
        title: "numbers between two tasks on one thread",
        kind: Kind::Race { counts: 300_000, calls: None },
        targets: &[Target::Time { peer: PLAIN, limit: 2.0 }],
    },
    Workload {
        name: "exchange2",
        title: "numbers between two tasks on two threads",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[
            Target::Time { peer: "cqueues", limit: 0.5 },
            Target::Time { peer: "luv", limit: 0.5 },
            Target::Time { peer: PLAIN, limit: 2.0 },
        ],
    },
    Workload {
        name: "dispatch",
        title: "tiny tasks in a pool of two threads, each with a state of its own",
        kind: Kind::Race { counts: 5000, calls: None },
        targets: &[
            Target::Time { peer: "luv", limit: 1.0 },
            Target::Time { peer: "cqueues", limit: 1.0 },
            Target::Time { peer: PLAIN, limit: 2.0 },
        ],
    },
    Workload {
        name: "jobs",
        title: "tiny jobs for two tasks, and their results",
        kind: Kind::Race { counts: 100_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "yield",
        title: "16 tasks that yield, on two threads",
        kind: Kind::Race { counts: 50_000, calls: None },
        targets: &[Target::Time { peer: PLAIN, limit: 2.0 }],
    },
    Workload {
        name: "resume",
        title: "a state coroutine resumed, and its answer",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }, Target::Time { peer: PLAIN, limit: 2.0 }],
    },
    Workload {
        name: "state",
        title: "independent states made and closed",
        kind: Kind::Race { counts: 30_000, calls: None },
        targets: &[Target::Time { peer: PLAIN, limit: 1.2 }],
    },
    Workload {
        name: "split",
        title: "a job by one thread, and by two",
        kind: Kind::Split { work: 4000 },
        targets: &[Target::Split { limit: 1.1 }],
    },
    Workload {
        name: "twostates",
        title: "a server and its clients in one state, and two of these on two threads",
        kind: Kind::Twice { work: 4000, job: 1500 },
        targets: &[Target::Twice { limit: 1.25 }, Target::Split { limit: 1.1 }],
    },
    Workload {
        name: "tasks",
        title: "1000 tasks that wait on a channel",
        kind: Kind::Memory { counts: 1000 },
        targets: &[Target::Memory { peer: PLAIN, limit: 1.2 }],
    },
    Workload {
        name: "idle",
        title: "100 000 coroutines that wait for timers",
        kind: Kind::Memory { counts: 100_000 },
        targets: &[Target::Each { limit: 1.6 }],
    },
    Workload {
        name: "files",
        title: "small files made, written, read, closed and removed",
        kind: Kind::Race { counts: 1000, calls: Some((100, 500)) },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "fileread",
        title: "reads of 512 bytes by another thread",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "fileblock",
        title: "reads and writes of 512 bytes in blocking mode",
        kind: Kind::Race { counts: 500_000, calls: None },
        targets: &[Target::Time { peer: FLOOR, limit: 1.5 }],
    },
    Workload {
        name: "filecopy",
        title: "copies of a file of 32 MiB",
        kind: Kind::Race { counts: 30, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "filelist",
        title: "a directory of 20 000 entries",
        kind: Kind::Race { counts: 50, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "open",
        title: "both ends of 10 000 connections that wait to read",
        kind: Kind::Memory { counts: 10_000 },
        targets: &[Target::Each { limit: 2.0 }],
    },
];
