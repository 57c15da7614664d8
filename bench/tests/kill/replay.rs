//! A real replay, killed in the middle of its load.

use std::path::Path;
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

/// Kills a replay `after` the beginning of its load; its image must check.
pub(crate) fn kill(home: &Path, round: u64, after: Duration) {
    std::fs::write(home.join("killed.yaml"), workload(60)).expect("a temporary file");
    let out = format!("out-{round}");
    let replay = delalloc(home)
        .args(["replay", "killed.yaml", "--out", &out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut replay = Mortal(replay.expect("the binary runs"));
    let events = home.join(&out).join("events.ndjson");
    let since = Instant::now();
    while !std::fs::read_to_string(&events).is_ok_and(|text| text.contains("phase-started")) {
        let ended = replay.0.try_wait().expect("a child");
        assert!(ended.is_none(), "replay {round} ended by itself: {ended:?}");
        assert!(since.elapsed() < PATIENCE, "replay {round} never begins");
        sleep(Duration::from_millis(5));
    }
    sleep(after);
    drop(replay);
    let check = delalloc(home)
        .args(["check", "killed.img"])
        .output()
        .expect("the binary runs");
    assert_eq!(
        check.status.code(),
        Some(0),
        "round {round}, killed after {after:?}: {}",
        String::from_utf8_lossy(&check.stdout)
    );
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
