//! A record such as a real sweep leaves, from one seed: an engine swept over three knobs beside a
//! kernel filesystem, with stalls, a long tail and a service phase in an open loop.

use delalloc_results::hist::LatencyHist;
use delalloc_results::metric::{Better, Metric, Unit};
use delalloc_results::record::{
    Cell, ContentRecord, Doubt, HarnessCost, Knob, Latency, Machine, OpRecord, PhaseRecord,
    PhaseRole, PoolRecord, RunRecord, RunStatus, Sample, Setting, StageRecord, Stall, SweepAxis,
    Target, Tool, Verification, Workload, WrittenRecord,
};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// How large a record to make.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) threads: &'static [i64],
    pub(crate) idle: &'static [i64],
    pub(crate) background: &'static [&'static str],
    pub(crate) rounds: u32,
    pub(crate) operations: u64,
}

/// Enough to show everything.
pub(crate) const TYPICAL: Size = Size {
    threads: &[1, 2, 4, 8],
    idle: &[1, 2, 8],
    background: &["16MiB", "64MiB"],
    rounds: 3,
    operations: 4000,
};

const MIB: u64 = 1 << 20;
const INTERVAL_NS: u64 = 100_000_000;

/// The record.
pub(crate) fn record(size: Size) -> RunRecord {
    let mut record = head(size);
    let mut random = Random::new(0x5eed);
    for round in 0..size.rounds {
        for &threads in size.threads {
            for &idle in size.idle {
                for &background in size.background {
                    let setting = |knob: &str, value| Setting {
                        knob: knob.to_owned(),
                        value,
                    };
                    let point = vec![
                        setting("thread_pool_size", threads.into()),
                        setting("delalloc.idle_thresh", idle.into()),
                        setting("dirty.background", background.into()),
                    ];
                    let speed = 130.0
                        * (threads as f64).min(2.6).sqrt()
                        * if idle == 2 { 1.12 } else { 1.0 }
                        * if background == "64MiB" { 1.15 } else { 1.0 };
                    let tail =
                        1.0 + threads as f64 / 3.0 + if background == "64MiB" { 2.5 } else { 0.0 };
                    record
                        .cells
                        .push(engine_cell(point, round, speed, tail, size, &mut random));
                }
            }
        }
        record.cells.push(kernel_cell(round, size, &mut random));
    }
    record
}

fn head(size: Size) -> RunRecord {
    let workload = Workload {
        name: "starter".to_owned(),
        hash: "xxh3:8c1f0c3db2a7e915".to_owned(),
        source: "workload.yaml".to_owned(),
        resolved: include_str!("workload.txt").to_owned(),
        seed: 1,
    };
    let tool = Tool {
        name: "delalloc".to_owned(),
        version: "0.1.0".to_owned(),
        revision: "b4ac5c5".to_owned(),
        codecs: BTreeMap::from([("zstd".to_owned(), "zstd-sys 2.1.3".to_owned())]),
    };
    let mut record = RunRecord::begin(tool, "2026-11-23T03:12:45Z", workload);
    record.status = RunStatus::Complete;
    record.wall_ns = 412_000_000_000;
    record.command_line = [
        "delalloc",
        "replay",
        "workload.yaml",
        "--set",
        "content.ratio=2.5",
    ]
    .map(str::to_owned)
    .to_vec();
    record.machine = machine();
    record.targets = targets();
    record.contents = vec![ContentRecord {
        describe: "text of 8192 words".to_owned(),
        files: vec!["page.0".to_owned(), "page.1".to_owned()],
        file_count: 5,
        codec: "zstd 1".to_owned(),
        ratio_asked: Some(2.5),
        ratio: 2.497,
        written: vec![
            WrittenRecord {
                block_bytes: 4096,
                extent_bytes: 4096,
                ratio: 1.913,
            },
            WrittenRecord {
                block_bytes: 65_536,
                extent_bytes: 131_072,
                ratio: 2.271,
            },
        ],
        dedupe_asked: Some(0.25),
        dedupe: Some(0.2461),
    }];
    let axis = |knob: &str, unit: &str, values| SweepAxis {
        knob: knob.to_owned(),
        unit: unit.to_owned(),
        values,
    };
    record.sweep = vec![
        axis(
            "thread_pool_size",
            "threads",
            size.threads.iter().map(|&v| v.into()).collect(),
        ),
        axis(
            "delalloc.idle_thresh",
            "items",
            size.idle.iter().map(|&v| v.into()).collect(),
        ),
        axis(
            "dirty.background",
            "",
            size.background.iter().map(|&v| v.into()).collect(),
        ),
    ];
    record.assertions = [
        "p99(serve.read) <= 20ms",
        "stored_ratio >= 2.2",
        "on-btrfs:stored_ratio >= 2",
        "errors(load) == 0",
    ]
    .map(str::to_owned)
    .to_vec();
    for metric in metrics() {
        record.metrics.insert(metric.name.clone(), metric);
    }
    let mut hist = LatencyHist::new();
    hist.record_n(180, 900_000);
    hist.record_n(420, 10_000);
    record.harness = Some(HarnessCost {
        ops: 910_000,
        threads: 1,
        ns_per_op: 203.0,
        paced_ns_per_op: Some(221.0),
        content_ns_per_op: Some(640.0),
        content_bytes_per_s: Some(6.4e9),
        latency: Latency::from(&hist),
    });
    record
}

fn machine() -> Machine {
    let doubt = |code: &str, seen: &str, advice: &str| Doubt {
        code: code.to_owned(),
        seen: seen.to_owned(),
        advice: advice.to_owned(),
    };
    Machine {
        cpu_model: "Intel(R) Xeon(R) Processor @ 2.80GHz".to_owned(),
        logical_cores: 2,
        memory_bytes: 8 << 30,
        kernel: "Linux 6.18.5".to_owned(),
        virtualization: "kvm".to_owned(),
        filesystem: "ext4 (rw,relatime)".to_owned(),
        device: "virtio block, not rotational, scheduler none, write cache on".to_owned(),
        build: "rustc 1.95.0, release".to_owned(),
        doubts: vec![
            doubt(
                "steal",
                "3.1 % of processor time was taken by other guests",
                "measure again when the host is quiet",
            ),
            doubt(
                "no-governor",
                "the clock rate cannot be read",
                "trust ratios within this run, not absolute numbers",
            ),
        ],
    }
}

fn targets() -> Vec<Target> {
    let knob = |name: &str, value, unit: &str, is_default| Knob {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        is_default,
    };
    let mut knobs = vec![
        knob("compression.codec", "zstd".into(), "", true),
        knob("compression.level", 1_i64.into(), "", true),
        knob("thread_pool_size", 1_i64.into(), "threads", false),
        knob("delalloc.idle_thresh", 1_i64.into(), "items", false),
        knob("dirty.background", "16MiB".into(), "", false),
        knob("order.scope", "volume".into(), "", true),
        knob("content.ratio", 2.5.into(), "", false),
        knob("read.both_sides", false.into(), "", true),
    ];
    knobs.extend((0..30).map(|i| {
        knob(
            &format!("tunable.number_{i}"),
            i64::from(i).into(),
            "",
            true,
        )
    }));
    vec![
        Target {
            name: "engine".to_owned(),
            kind: "engine".to_owned(),
            describe: "O_DIRECT file delalloc.img, 2 GiB, io_uring".to_owned(),
            knobs,
        },
        Target {
            name: "on-btrfs".to_owned(),
            kind: "directory".to_owned(),
            describe: "btrfs (compress-force=zstd:1) on a loop device".to_owned(),
            knobs: Vec::new(),
        },
    ]
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::counted("stored_ratio", Unit::Ratio, Better::Higher)
            .doc("content bytes over stored bytes"),
        Metric::counted("write_amplification", Unit::Ratio, Better::Lower)
            .doc("device writes over bytes written by the workload"),
        Metric::counted("read_amplification", Unit::Ratio, Better::Lower)
            .doc("device reads over bytes read by the workload"),
        Metric::counted("device_write_bytes", Unit::Bytes, Better::Lower)
            .doc("bytes sent to the device"),
        Metric::counted("extents", Unit::Count, Better::Lower).doc("extents written"),
        Metric::timed("cpu_ns", Unit::Nanoseconds, Better::Lower)
            .doc("processor time of the process"),
        Metric::timed("nodes_recopied", Unit::Count, Better::Lower)
            .doc("metadata nodes copied again after a write"),
    ]
}

fn engine_cell(
    point: Vec<Setting>,
    round: u32,
    speed: f64,
    tail: f64,
    size: Size,
    random: &mut Random,
) -> Cell {
    let speed = speed * (0.94 + 0.12 * random.unit());
    let mut cell = Cell {
        target: "engine".to_owned(),
        point,
        round,
        phases: phases(speed, tail, size, true, random),
        verification: Verification {
            bytes_verified: 83 * MIB,
            ..Verification::default()
        },
        ..Cell::default()
    };
    cell.count("stored_ratio", 2.44);
    cell.count("write_amplification", 1.07 + 0.02 * random.unit());
    cell.count("read_amplification", 3.4 + 0.1 * random.unit());
    cell.count("device_write_bytes", 112_197_632.0);
    cell.count("extents", 2048.0);
    cell.count("cpu_ns", 2.9e9 + 3e8 * random.unit());
    cell.count("nodes_recopied", 160.0);
    let stage = |name: &str, items: u64, bytes: u64, ms: [f64; 3], depth_max: u64| StageRecord {
        name: name.to_owned(),
        items,
        bytes,
        queued_ns: nanoseconds(ms[0] * 1e6),
        running_ns: nanoseconds(ms[1] * 1e6),
        head_wait_ns: nanoseconds(ms[2] * 1e6),
        depth_max,
        bytes_held_max: depth_max * 512 * 1024,
        ..StageRecord::default()
    };
    cell.stages = vec![
        stage("collect", 512, 256 * MIB, [3.0, 21.0, 0.0], 4),
        stage("compress", 2048, 256 * MIB, [410.0, 1190.0, 0.0], 38),
        stage("order", 2048, 105 * MIB, [0.0, 4.0, 355.0], 31),
        stage("allocate", 2048, 105 * MIB, [2.0, 17.0, 0.0], 2),
        stage("submit", 2048, 105 * MIB, [36.0, 44.0, 0.0], 64),
        stage("device", 2048, 105 * MIB, [0.0, 610.0, 0.0], 32),
        stage("finish", 2048, 105 * MIB, [58.0, 73.0, 0.0], 12),
    ];
    let pool = |name: &str, workers_max, workers_peak, items| PoolRecord {
        name: name.to_owned(),
        kind: "seed2008".to_owned(),
        workers_max,
        workers_peak,
        items,
        wakeups: items / 3,
        to_busy: items / 20,
        to_idle: items / 20,
        depth_max: 38,
        running_ns: items * 580_000,
    };
    cell.pools = vec![
        pool("delalloc", 2, 2, 2048),
        pool("submit", 64, 5, 2048),
        pool("endio", 2, 1, 390),
        pool("endio_write", 2, 2, 2048),
    ];
    cell
}

fn kernel_cell(round: u32, size: Size, random: &mut Random) -> Cell {
    let mut cell = Cell {
        target: "on-btrfs".to_owned(),
        point: vec![],
        round,
        phases: phases(95.0, 6.0, size, false, random),
        verification: Verification {
            bytes_verified: 83 * MIB,
            ..Verification::default()
        },
        ..Cell::default()
    };
    cell.count("stored_ratio", 2.31);
    cell.count("write_amplification", 1.4);
    cell
}

fn phases(
    speed: f64,
    tail: f64,
    size: Size,
    knows_dirty: bool,
    random: &mut Random,
) -> Vec<PhaseRecord> {
    let load_ns = nanoseconds(256.0 / speed * 1e9);
    let load = phase(
        "load",
        PhaseRole::Steady,
        0,
        load_ns,
        vec![
            op("write", 256, 256 * MIB, 900_000.0, tail, 1.0, random),
            op("sync", 1, 0, 2e8, 1.0, 1.0, random),
        ],
        (speed * MIB as f64, knows_dirty),
        random,
    );
    let warm_up = phase(
        "warm",
        PhaseRole::WarmUp,
        load_ns,
        800_000_000,
        vec![op("read", 200, 200 * 4096, 90_000.0, tail, 1.0, random)],
        (speed * 30_000.0, knows_dirty),
        random,
    );
    let reads = size.operations * 7;
    let serve_ops = vec![
        op("read", reads, reads * 4096, 110_000.0, tail, 1.6, random),
        op(
            "write",
            size.operations * 3,
            size.operations * 3 * 4096,
            14_000.0,
            tail * 3.0,
            1.4,
            random,
        ),
        op(
            "sync",
            size.operations / 4,
            0,
            2_400_000.0,
            tail,
            1.0,
            random,
        ),
    ];
    let start_ns = load_ns + 800_000_000;
    let serve = phase(
        "serve",
        PhaseRole::Steady,
        start_ns,
        nanoseconds(10e9 * 130.0 / speed),
        serve_ops,
        (speed * 400_000.0, knows_dirty),
        random,
    );
    vec![load, warm_up, serve]
}

fn op(
    name: &str,
    count: u64,
    bytes: u64,
    ns: f64,
    tail: f64,
    lag: f64,
    random: &mut Random,
) -> OpRecord {
    let (mut response, mut service) = (LatencyHist::new(), LatencyHist::new());
    for _ in 0..count {
        let draw = random.unit();
        // Log-normal about the middle, a Pareto tail for one in fifty.
        let body = ns * (0.35 * (random.unit() + random.unit() + random.unit() - 1.5)).exp();
        let took = if draw > 0.98 {
            body * (1.0 + 0.4 * tail / (1.001 - random.unit()))
        } else {
            body
        };
        service.record(nanoseconds(took));
        let waited = if draw > 0.9 {
            took * lag * (1.0 + random.unit())
        } else {
            took
        };
        response.record(nanoseconds(waited));
    }
    OpRecord::new(name, bytes, 0, &response, &service)
}

fn phase(
    name: &str,
    role: PhaseRole,
    start_ns: u64,
    wall_ns: u64,
    ops: Vec<OpRecord>,
    (bytes_per_s, knows_dirty): (f64, bool),
    random: &mut Random,
) -> PhaseRecord {
    let mut series = Vec::new();
    let mut dirty = 8.0 * MIB as f64;
    let mut t_ns = 0;
    while t_ns < wall_ns {
        let from_ns = t_ns;
        t_ns = (t_ns + INTERVAL_NS).min(wall_ns);
        dirty = (dirty + bytes_per_s * 0.04 * (0.5 + random.unit())).min(64.0 * MIB as f64);
        let full = dirty >= 63.0 * MIB as f64 && random.unit() < 0.5;
        let held_ns = if full {
            nanoseconds(8e7 * random.unit())
        } else {
            0
        };
        if full {
            dirty *= 0.25;
        }
        let part = if full {
            0.35
        } else {
            0.85 + 0.3 * random.unit()
        };
        let bytes = bytes_per_s * part * (t_ns - from_ns) as f64 / 1e9;
        let p50 = 90_000.0 * (0.8 + 0.4 * random.unit()) / part;
        let mut responses = LatencyHist::new();
        for _ in 0..40 {
            let spread = random.unit() + random.unit() + random.unit() - 1.5;
            let long = if random.unit() > 0.96 { 9.0 } else { 1.0 };
            responses.record(nanoseconds(p50 * long * (0.9 * spread).exp()));
        }
        responses.record(nanoseconds(p50 * 20.0) + held_ns);
        series.push(Sample {
            t_ns,
            spectrum: responses.spectrum(),
            workers: if knows_dirty {
                [("delalloc".to_owned(), nanoseconds(2.9 * random.unit()))].into()
            } else {
                BTreeMap::new()
            },
            ops: nanoseconds(bytes / 4096.0).max(1),
            bytes: nanoseconds(bytes),
            ns_p50: nanoseconds(p50),
            ns_p99: nanoseconds(p50 * (6.0 + 8.0 * random.unit())),
            ns_max: nanoseconds(p50 * 20.0) + held_ns,
            dirty_bytes: knows_dirty.then(|| nanoseconds(dirty)),
            queues: if knows_dirty {
                [
                    ("delalloc".to_owned(), nanoseconds(dirty / 2e6)),
                    ("submit".to_owned(), nanoseconds(6.0 * part)),
                ]
                .into()
            } else {
                BTreeMap::new()
            },
            stalls: if full {
                vec![Stall {
                    cause: "dirty limit".to_owned(),
                    ns: held_ns,
                }]
            } else {
                Vec::new()
            },
        });
    }
    PhaseRecord {
        name: name.to_owned(),
        role,
        start_ns,
        wall_ns,
        ops,
        series,
        ..PhaseRecord::default()
    }
}

fn nanoseconds(value: f64) -> u64 {
    assert!((0.0..1e18).contains(&value), "{value} is no time");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above, and fractions do not matter"
    )]
    let whole = value as u64;
    whole
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
