//! The image that is written, killed and judged: a file, or a loop device.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use delalloc_backends::{Backend, BackendError, BlockOptions, FileCaching, FileOptions, OsClock};
use delalloc_engine::meta::signatures;
use delalloc_engine::{EngineConfig, FormatOptions, Volume};

/// Bytes of an image.
const BYTES: u64 = 32 << 20;
/// A killed process gives its locks up a moment after it is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Formats a new file as an image.
pub(crate) fn make_file(path: &Path) {
    let made = FileOptions {
        caching: FileCaching::Buffered,
        ..FileOptions::create_or_reuse(path, BYTES)
    };
    let backend = made.open().expect("a temporary directory takes an image");
    format(Arc::new(backend));
}

/// Opens an existing image: directly where the host lets us.
pub(crate) fn open(path: &Path) -> Arc<dyn Backend> {
    let since = Instant::now();
    loop {
        match try_open(path) {
            Ok(backend) => return backend,
            Err(error) => assert!(
                since.elapsed() < PATIENCE,
                "{} does not open: {error}",
                path.display()
            ),
        }
        sleep(Duration::from_millis(20));
    }
}

fn try_open(path: &Path) -> Result<Arc<dyn Backend>, BackendError> {
    if path.starts_with("/dev") {
        let options = BlockOptions {
            ours: signatures().to_vec(),
            ..BlockOptions::new(path)
        };
        return Ok(Arc::new(options.open()?));
    }
    if let Ok(direct) = FileOptions::existing(path).open() {
        return Ok(Arc::new(direct));
    }
    let buffered = FileOptions {
        caching: FileCaching::Buffered,
        ..FileOptions::existing(path)
    };
    Ok(Arc::new(buffered.open()?))
}

pub(crate) fn volume(backend: &Arc<dyn Backend>) -> Volume {
    let clock = Arc::new(OsClock::new());
    let mut config = EngineConfig::default();
    for (knob, value) in [("dirty.background", "128KiB"), ("commit.interval", "30ms")] {
        config.set(knob, value).expect("a knob");
    }
    Volume::open(Arc::clone(backend), clock, config).expect("the image opens")
}

fn format(backend: Arc<dyn Backend>) {
    Volume::format(&backend, &FormatOptions::default()).expect("it can be formatted");
    backend.close().expect("it closes");
}

/// A loop device over a file; detached in the end.
pub(crate) struct Loop {
    pub(crate) device: PathBuf,
}

impl Loop {
    /// A formatted one, or why there is none.
    pub(crate) fn make(file: &Path) -> Result<Self, String> {
        let megabytes = format!("{}M", BYTES >> 20);
        let output = script().arg("make").arg(file).arg(megabytes).output();
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(error.to_string()),
            Err(error) => panic!("{error}"),
        };
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let device = String::from_utf8_lossy(&output.stdout).trim().into();
        let made = Self { device };
        format(open(&made.device));
        Ok(made)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let removed = script().arg("remove").arg(&self.device).status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("kill: {} stays attached", self.device.display());
        }
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/loopdev"))
}
