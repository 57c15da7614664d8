//! What happens while a commit, or one of two writes, is still on its way to the device.

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Backend, Recorder, RequestKind, Survivors, Tear};
use delalloc_engine::recover::check;
use delalloc_engine::{File, Volume};

use super::case;
use super::device::Hold;
use crate::crash::stage::blank;
use crate::support::{Dice, config, open, pause};

/// A writer that is not held back has its bytes on the device within this time.
const WRITTEN_WITHIN: Duration = Duration::from_millis(150);
const RAW: [(&str, &str); 2] = [("compression.codec", "none"), ("dirty.background", "64KiB")];

/// A volume on a device that is recorded and can hold requests of one kind.
fn held_volume(kind: RequestKind) -> (Arc<Recorder>, Arc<Hold>, Volume) {
    let recorder = Arc::new(Recorder::new(blank(2 << 20, 4096)));
    let hold = Arc::new(Hold::new(Arc::clone(&recorder) as Arc<dyn Backend>, kind));
    let backend: Arc<dyn Backend> = Arc::clone(&hold) as Arc<dyn Backend>;
    (recorder, hold, open(&backend, &config(&RAW)))
}

/// The device as a crash leaves it now, if everything on its way arrives.
pub(crate) fn crashed(recorder: &Recorder) -> Arc<dyn Backend> {
    let point = recorder.crash_point(recorder.events());
    Arc::new(point.image(&Survivors::All, Tear::Whole))
}

fn write(file: &File, seed: u64, at: u64, bytes: usize) {
    let bytes = Dice::new(seed).noise(bytes);
    file.write_at(at, &bytes).expect("a write fits");
}

/// A commit that frees most of the volume waits for its flush; nothing writes over what it frees.
pub(crate) fn what_a_running_commit_frees_stays() {
    for seed in 0..2 {
        case();
        let (recorder, hold, volume) = held_volume(RequestKind::Flush);
        let old = volume.create("old").expect("a new file");
        let new = volume.create("new").expect("a new file");
        write(&old, seed, 0, 1 << 20);
        volume.sync().expect("a sync");
        old.truncate(0).expect("a truncate");
        hold.hold(1);
        std::thread::scope(|scope| {
            let committing = scope.spawn(|| volume.sync());
            hold.wait_for(1);
            let writing = scope.spawn(|| {
                write(&new, seed + 10, 0, 1 << 20);
                new.sync()
            });
            pause(WRITTEN_WITHIN);
            let report = check(crashed(&recorder).as_ref());
            hold.release(hold.pass());
            committing.join().expect("no panic").expect("a sync");
            writing.join().expect("no panic").expect("a sync");
            assert!(report.is_clean(), "seed {seed}: {report:?}");
        });
    }
}

/// The second of two extents is done before the first when the volume commits and crashes: the file ends
/// before both, and when it grows again there is nothing.
pub(crate) fn extents_past_the_end_are_not_found_again() {
    const LEN: usize = 1 << 20;
    for seed in 0..3 {
        case();
        let (recorder, hold, volume) = held_volume(RequestKind::Write);
        let file = volume.create("file").expect("a new file");
        let other = volume.create("other").expect("a new file");
        hold.hold(1);
        // Two items; the flusher begins with the first.
        write(&file, seed, 0, LEN);
        hold.wait_for(1);
        pause(WRITTEN_WITHIN);
        other.sync().expect("a sync");
        let image = crashed(&recorder);
        hold.release(hold.pass());
        assert!(check(image.as_ref()).is_clean(), "seed {seed}");
        let volume = open(&image, &config(&RAW));
        let file = volume.open_file("file").expect("it was there at a commit");
        assert_eq!(
            file.size_bytes(),
            0,
            "seed {seed}: nothing from its start on was written"
        );
        file.truncate(LEN as u64).expect("a truncate");
        let mut found = vec![1; LEN];
        file.read_at(0, &mut found).expect("a read");
        assert!(
            found.iter().all(|&byte| byte == 0),
            "seed {seed}: a file grew over bytes of before the crash"
        );
    }
}
