//! `kill -9`, at any moment, again and again on one image.
//!
//! A writer process changes files, syncs them and says on a pipe what was acknowledged; it is killed; the
//! image is checked, opened and compared with all that was acknowledged; the next writer goes on with
//! what is there. On a file, and on a loop device, which needs root and losetup: where those are not to
//! be had, that part says so and is left out. Then real replays are killed, on both as well, and their images checked; of those
//! that append, every acknowledged sync is there.
//!
//! What this cannot show is a device that loses its cache; the crash images of the engine's tests do.
//!
//! The test is its own writer (`kill writer PATH SEED ROUND INCARNATIONS`), so it has a `main` and not the harness of
//! the others. DELALLOC_KILL_ROUNDS sets the rounds (default 10), DELALLOC_SEED the first seed;
//! scripts/kill-long has more.

#[path = "kill/image.rs"]
mod image;
#[path = "kill/judge.rs"]
mod judge;
#[path = "kill/replay.rs"]
mod replay;
#[path = "kill/stream.rs"]
mod stream;
#[path = "kill/writer.rs"]
mod writer;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use replay::{Appender, Mortal};
use stream::Known;
use writer::FILES;

/// Longest life of a writer once it writes.
const LIFE_MS_MAX: u64 = 150;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, path, seed, round, incarnations @ ..] = &args[..]
        && mode == "writer"
    {
        let number = |text: &String| text.parse().expect("a number");
        let incarnations: Vec<u64> = incarnations.iter().map(number).collect();
        let incarnations = incarnations.try_into().expect("one for each file");
        return writer::write(Path::new(path), number(seed), number(round), incarnations);
    }
    // As of the harness: what names no test here runs none, and a list is a list.
    if args.iter().any(|arg| arg == "--list") {
        return println!("kill: test");
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if !filters.is_empty()
        && !filters
            .iter()
            .any(|filter| "kill".contains(filter.as_str()))
    {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    let (seed, rounds) = (
        number("DELALLOC_SEED", 0),
        number("DELALLOC_KILL_ROUNDS", 10),
    );
    on_a_file(home.path(), seed, rounds);
    on_a_loop_device(home.path(), seed, rounds.div_ceil(2));
    replays(home.path(), seed, rounds.div_ceil(3));
    appenders(home.path(), seed, rounds.div_ceil(3));
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn on_a_file(home: &Path, seed: u64, rounds: u64) {
    let path = home.join("kill.img");
    image::make_file(&path);
    all_rounds("a file", &path, seed, rounds);
}

fn on_a_loop_device(home: &Path, seed: u64, rounds: u64) {
    match image::Loop::make(&home.join("loop.img")) {
        Ok(made) => all_rounds("a loop device", &made.device, seed, rounds),
        Err(why) => println!("kill: NOT RUN on a loop device, for want of one: {why}"),
    }
}

fn replays(home: &Path, seed: u64, rounds: u64) {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
    for round in 0..rounds {
        let after = Duration::from_millis(dice.next_u64() % 300);
        replay::kill(home, round, after);
    }
    replay::finish(home);
    println!("kill: {rounds} replays killed, every image checks, and a replay runs on the last");
}

fn appenders(home: &Path, seed: u64, rounds: u64) {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed ^ 1);
    let appender = Appender::new(home);
    let mut killed = |what: &str, image: &Path| {
        let mut syncs = 0;
        for round in 0..rounds {
            // Its event log has an interval every tenth of a second.
            let after = Duration::from_millis(150 + dice.next_u64() % 450);
            syncs += appender.kill(image, round, after);
        }
        assert!(syncs > 0, "no replay came to its first sync");
        println!("kill: {rounds} replays killed on {what}, {syncs} syncs acknowledged, none lost");
    };
    killed("a file", &Appender::file());
    match image::Loop::make(&home.join("appended-loop.img")) {
        Ok(made) => killed("a loop device", &made.device),
        Err(why) => println!("kill: NOT RUN for replays on a loop device: {why}"),
    }
}

fn all_rounds(what: &str, path: &Path, seed: u64, rounds: u64) {
    let mut known = vec![Known::none(); FILES];
    let (mut syncs, mut later) = (0, 0);
    let began = Instant::now();
    for round in 0..rounds {
        let (count, synced) = killed_writer(path, seed, round, &known);
        let (found, beyond) = judge::judge(path, seed, round, &known, &synced);
        known = found;
        syncs += count;
        later += beyond;
    }
    println!(
        "kill: {rounds} rounds on {what}, seed {seed}: {syncs} syncs acknowledged, none lost; \
         {later} files of {} show more; {:.1} rounds/s",
        rounds * FILES as u64,
        rounds as f64 / began.elapsed().as_secs_f64()
    );
    assert!(syncs > 0, "no writer came to its first sync");
}

/// Lets a writer write and kills it. Returns how many syncs it acknowledged, and the last of each file.
fn killed_writer(
    path: &Path,
    seed: u64,
    round: u64,
    known: &[Known],
) -> (u64, [Option<usize>; FILES]) {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed ^ (round << 32));
    let child = Command::new(std::env::current_exe().expect("a running test"))
        .arg("writer")
        .arg(path)
        .args([seed.to_string(), round.to_string()])
        .args(known.iter().map(|known| known.incarnation.to_string()))
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Mortal(child.expect("the test runs itself"));
    let pipe = child.0.stdout.take().expect("a pipe");
    let reader = std::thread::Builder::new().spawn(move || read_pipe(BufReader::new(pipe)));
    let reader = reader.expect("a thread starts");
    // One writer in four is killed while it opens the image; the others once they write.
    let life_ms = dice.next_u64() % LIFE_MS_MAX;
    let opens = if dice.next_u64().is_multiple_of(4) {
        0
    } else {
        40
    };
    sleep(Duration::from_millis(opens + life_ms));
    let ended = child.0.try_wait().expect("a child");
    assert!(
        ended.is_none(),
        "round {round}: the writer ended: {ended:?}"
    );
    drop(child);
    reader.join().expect("the pipe is read")
}

fn read_pipe(pipe: impl BufRead) -> (u64, [Option<usize>; FILES]) {
    let (mut count, mut synced) = (0, [None; FILES]);
    for line in pipe.lines() {
        let line = line.expect("a line");
        let (file, step) = line.split_once(' ').expect("two numbers");
        let file: usize = file.parse().expect("a number");
        synced[file] = Some(step.parse().expect("a number"));
        count += 1;
    }
    (count, synced)
}
