//! A real replay, killed in the middle of its load: its image checks, and has what its syncs were acknowledged for.
//!
//! How far it had come is in its event log, an interval at a time; what it had written is what the same load writes to
//! another image when nobody kills it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A replay that has not begun its load by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// The replay: `seconds` of writes, reads and syncs on a file.
fn workload(seconds: u64) -> String {
    format!(
        "version: 1
name: killed
seed: 5
targets:
  engine: {{ engine: {{ backend: {{ file: {{ path: killed.img, size: 64MiB, buffered: true }} }} }} }}
content: {{ ratio: 2.5 }}
files:
  table: {{ size: 8MiB }}
  log: {{}}
phases:
  - name: serve
    duration: {seconds}s
    jobs:
      - {{ mix: {{ read: 30, write: 70 }}, file: table, pattern: random, block: 16KiB, clients: 2 }}
      - {{ append: log, block: 4KiB, fsync_every: 2 }}
"
    )
}

/// Appends to one file, each synced, to what `backend` says.
fn appends(seconds: u64, backend: &str) -> String {
    format!(
        "version: 1
name: appends
seed: 5
targets:
  engine: {{ engine: {{ backend: {backend} }} }}
content: {{ ratio: 2.5 }}
files:
  log: {{}}
phases:
  - name: serve
    duration: {seconds}s
    jobs:
      - {{ append: log, block: 4KiB, fsync_every: 1 }}
"
    )
}

/// A process that is killed when it goes out of sight, whatever happens to the test.
pub(crate) struct Mortal(pub(crate) Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        let killed = self.0.kill().and_then(|()| self.0.wait());
        if let Err(error) = killed {
            eprintln!("kill: {error}");
        }
    }
}

fn delalloc(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delalloc"));
    command.current_dir(home);
    command
}

/// Kills a replay of `workload` `after` the beginning of its load. Returns its event log.
fn killed(home: &Path, workload: &str, round: u64, after: Duration) -> String {
    std::fs::write(home.join("killed.yaml"), workload).expect("a temporary file");
    let out = format!("out-{round}");
    let events = home.join(&out).join("events.ndjson");
    // That of the last one under this name would pass for the beginning of this one.
    let _none_yet = std::fs::remove_file(&events);
    let replay = delalloc(home)
        .args(["replay", "killed.yaml", "--out", &out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut replay = Mortal(replay.expect("the binary runs"));
    let since = Instant::now();
    while !std::fs::read_to_string(&events).is_ok_and(|text| text.contains("phase-started")) {
        let ended = replay.0.try_wait().expect("a child");
        assert!(ended.is_none(), "replay {round} ended by itself: {ended:?}");
        assert!(since.elapsed() < PATIENCE, "replay {round} never begins");
        sleep(Duration::from_millis(5));
    }
    sleep(after);
    drop(replay);
    std::fs::read_to_string(&events).expect("it was there")
}

fn check(home: &Path, image: &Path, what: &str) {
    let check = delalloc(home)
        .arg("check")
        .arg(image)
        .output()
        .expect("the binary runs");
    assert_eq!(
        check.status.code(),
        Some(0),
        "{what}: {}",
        String::from_utf8_lossy(&check.stdout)
    );
}

/// Kills a replay `after` the beginning of its load; its image must check.
pub(crate) fn kill(home: &Path, round: u64, after: Duration) {
    killed(home, &workload(60), round, after);
    let what = format!("round {round}, killed after {after:?}");
    check(home, Path::new("killed.img"), &what);
}

/// What `log` holds in an image.
fn log_of(home: &Path, image: &Path, name: &str) -> Vec<u8> {
    let into = home.join(name);
    let export = delalloc(home)
        .arg("export")
        .args([image, &*into])
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&export.stderr);
    assert_eq!(export.status.code(), Some(0), "{name}: {said}");
    // Before the first sync there need not be a file.
    std::fs::read(into.join("log")).unwrap_or_default()
}

/// Appends that were synced by the time of the last line of an event log: every operation is one, or its sync.
fn acknowledged(events: &str) -> usize {
    let lines = events.lines().filter_map(|line| {
        // The last one may be cut off.
        serde_json::from_str::<serde_json::Value>(line).ok()
    });
    let of_load = lines.filter(|line| line["reason"] == "interval" && line["phase"] == "serve");
    let ops: u64 = of_load
        .map(|line| line["sample"]["ops"].as_u64().expect("a count"))
        .sum();
    usize::try_from(ops / 2).expect("small")
}

/// Appending replays, to be killed.
pub(crate) struct Appender<'h> {
    home: &'h Path,
    /// What they write, as far as a second takes it.
    whole: Vec<u8>,
}

impl<'h> Appender<'h> {
    pub(crate) fn new(home: &'h Path) -> Self {
        let image = "{ file: { path: whole.img, size: 256MiB, buffered: true } }";
        std::fs::write(home.join("appends.yaml"), appends(1, image)).expect("a temporary file");
        let whole = delalloc(home)
            .args(["replay", "appends.yaml", "--out", "appended"])
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&whole.stderr);
        assert_eq!(whole.status.code(), Some(0), "{said}");
        let whole = log_of(home, Path::new("whole.img"), "whole-files");
        assert!(!whole.is_empty());
        Self { home, whole }
    }

    /// Kills one `after` the beginning of its load. Returns how many syncs it had acknowledged; all of them must be there.
    pub(crate) fn kill(&self, image: &Path, round: u64, after: Duration) -> usize {
        let path = image.display();
        let backend = match image.starts_with("/dev") {
            true => format!("{{ block: {{ path: {path}, i_know_this_destroys: {path} }} }}"),
            false => format!("{{ file: {{ path: {path}, size: 64MiB, buffered: true }} }}"),
        };
        let events = killed(self.home, &appends(60, &backend), round, after);
        let what = format!("round {round} on {path}, killed after {after:?}");
        check(self.home, image, &what);
        let name = format!("files-{}-{round}", image.display()).replace('/', "-");
        let found = log_of(self.home, image, &name);
        let syncs = acknowledged(&events);
        assert!(
            found.len() >= syncs * 4096,
            "{what}: {syncs} appends were synced, and {} bytes are there",
            found.len()
        );
        let same = found.len().min(self.whole.len());
        assert!(found[..same] == self.whole[..same], "{what}: other bytes");
        syncs
    }

    /// The name of an image in a file.
    pub(crate) fn file() -> PathBuf {
        PathBuf::from("appended.img")
    }
}

/// After all of that a replay on the same image runs to its end.
pub(crate) fn finish(home: &Path) {
    std::fs::write(home.join("whole.yaml"), workload(1)).expect("a temporary file");
    let whole = delalloc(home)
        .args(["replay", "whole.yaml", "--out", "whole"])
        .output()
        .expect("the binary runs");
    assert_eq!(
        whole.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&whole.stderr)
    );
}
