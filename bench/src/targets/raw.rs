//! A device without a filesystem: the limit that the engine and the kernel's filesystems are compared with.
//!
//! Files lie one after the other (layout). A write of whole blocks is one direct write, a read one
//! direct read, every kind of sync one flush, and that is all: no cache, no metadata on the device,
//! no promise about a name. Part of a block is read, changed and written again.
//!
//! What a filesystem would keep on the device is kept in memory, for the length of a cell: sizes, names,
//! and which blocks were written. `reopen` keeps all of it and only the bytes come from the device
//! again, so reading back here proves the bytes and says nothing about sizes. A removed file keeps its place and
//! becomes empty, also for who still has it open.
//!
//! Invariants
//!   * The device holds zeros between the end of a file and the end of its last block, if that was written.
//!   * A block that was not written reads as zeros, whatever the device holds.
//!
//! Locks: `names`, for a look-up or a rename. Of a file `shape`, held during I/O, shared by reads and by writes of
//! whole blocks, alone by whatever changes part of a block or takes bytes away; then `known`, for a
//! moment, never during I/O. A read looks up `known` before it reads: a block that is written
//! meanwhile then reads as it was before.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use delalloc_backends::{
    AlignedBuf, Backend, BackendExt, BufPool, Clock, Durability, MeterBackend, OsClock,
};
use delalloc_workloads::LoadPlan;
use delalloc_workloads::units::format_size;
use parking_lot::{Mutex, RwLock};

use super::blocks::BlockSet;
use super::device::device_readings;
use super::layout::{Place, lay_out};
use super::{Levels, Reading, Target, TargetFile};

/// Buffers up to this size are recycled.
const BUFFER_BYTES: usize = 1 << 20;
/// As many as clients commonly write at once.
const BUFFERS_IDLE_MAX: usize = 16;

/// Files on a device.
#[derive(Debug)]
pub struct RawTarget {
    device: Arc<MeterBackend>,
    /// Where the device's time is not the system's.
    clock: Option<Arc<dyn Clock>>,
    names: Mutex<BTreeMap<String, Arc<RawFile>>>,
}

/// One file.
#[derive(Debug)]
struct RawFile {
    device: Arc<MeterBackend>,
    buffers: Arc<BufPool>,
    block_bytes: u64,
    place: Place,
    shape: RwLock<()>,
    known: Mutex<Known>,
}

/// What a filesystem would keep on the device.
#[derive(Debug, Default)]
struct Known {
    size_bytes: u64,
    written: BlockSet,
}

impl RawTarget {
    /// Lays the files of `load` out on `backend`, whose content is lost. `clock` is the device's time,
    /// where that is not the system's.
    pub fn open(
        backend: Arc<dyn Backend>,
        clock: Option<Arc<dyn Clock>>,
        load: &LoadPlan,
    ) -> anyhow::Result<Self> {
        let metered_by = clock.clone().unwrap_or_else(|| Arc::new(OsClock::new()));
        let device = Arc::new(MeterBackend::new(backend, metered_by));
        let geometry = device.geometry();
        let places = lay_out(load, geometry.capacity_bytes)
            .map_err(|faults| anyhow!("{}: {}", device.describe(), faults.join("; ")))?;
        let buffers = BufPool::new(BUFFER_BYTES, BUFFERS_IDLE_MAX);
        let file = |place: Place| RawFile {
            device: Arc::clone(&device),
            buffers: Arc::clone(&buffers),
            block_bytes: u64::from(geometry.block_bytes),
            place,
            shape: RwLock::new(()),
            known: Mutex::default(),
        };
        let names = places
            .into_iter()
            .map(|place| (place.name.clone(), Arc::new(file(place))))
            .collect();
        Ok(Self {
            device,
            clock,
            names: Mutex::new(names),
        })
    }

    fn file(&self, name: &str) -> anyhow::Result<Arc<RawFile>> {
        self.names.lock().get(name).cloned().ok_or_else(|| {
            anyhow!("{name:?} has no place on the device: only files of the workload have one")
        })
    }
}

impl Target for RawTarget {
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        let file: Arc<dyn TargetFile> = self.file(name)?;
        Ok(file)
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.file(name)?
            .truncate(0)
            .with_context(|| format!("removing {name:?}"))
    }

    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let file = self.file(from)?;
        if from == to {
            return Ok(());
        }
        let mut names = self.names.lock();
        names.remove(from);
        let replaced = names.insert(to.to_owned(), file);
        if let Some(replaced) = replaced {
            // Its place is free for a new file of the old name.
            replaced.truncate(0)?;
            names.insert(from.to_owned(), replaced);
        }
        Ok(())
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        Ok(self.device.flush_blocking()?)
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn reopen(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn counters(&self) -> Vec<Reading> {
        device_readings(&self.device.snapshot())
    }

    fn levels(&self) -> Levels {
        let depth = self.device.snapshot().depth_now;
        Levels {
            queues: BTreeMap::from([("device".to_owned(), depth)]),
            ..Levels::default()
        }
    }

    fn finals(&self) -> Vec<Reading> {
        Vec::new()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.clock.clone()
    }

    fn describe(&self) -> String {
        format!("raw {}", self.device.describe())
    }

    fn keeps(&self) -> bool {
        true
    }

    fn close(&self) -> anyhow::Result<()> {
        self.device.close().context("closing the device")
    }
}

impl TargetFile for RawFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        let _shape = self.shape.read();
        let wanted = offset..offset.saturating_add(buf.len() as u64);
        let (end, missing) = {
            let known = self.known.lock();
            let end = wanted.end.min(known.size_bytes);
            let blocks = self.blocks_of(&(offset..end.max(offset)));
            (end, known.written.missing(blocks))
        };
        if end <= offset {
            return Ok(0);
        }
        let covered = self.covering(&(offset..end));
        for piece in self.pieces(&covered) {
            let mut bytes = self.fetch(&piece)?;
            for block in &missing {
                let block_start = block * self.block_bytes;
                if piece.contains(&block_start) {
                    let at = length(piece.start..block_start);
                    bytes[at..at + length(0..self.block_bytes)].fill(0);
                }
            }
            let part = piece.start.max(offset)..piece.end.min(end);
            let from = &bytes[length(piece.start..part.start)..][..length(part.clone())];
            buf[length(offset..part.start)..][..from.len()].copy_from_slice(from);
        }
        Ok(length(offset..end))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let range = offset..offset.saturating_add(bytes.len() as u64);
        self.check_room(range.end)?;
        if self.covering(&range) == range {
            let _shape = self.shape.read();
            self.store(&range, bytes)?;
        } else {
            let _shape = self.shape.write();
            self.patch(&range, bytes)?;
        }
        Ok(())
    }

    fn sync(&self) -> anyhow::Result<()> {
        Ok(self.device.flush_blocking()?)
    }
    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()> {
        self.check_room(file_bytes)?;
        let _shape = self.shape.write();
        let old_bytes = self.known.lock().size_bytes;
        if file_bytes < old_bytes {
            let cut = self.covering(&(file_bytes..old_bytes));
            self.clear(file_bytes..cut.end)?;
        }
        self.known.lock().size_bytes = file_bytes;
        Ok(())
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()> {
        let _shape = self.shape.write();
        let size_bytes = self.known.lock().size_bytes;
        let mut end = offset.saturating_add(bytes);
        if end >= size_bytes {
            end = size_bytes.next_multiple_of(self.block_bytes);
        }
        if offset >= end {
            return Ok(());
        }
        let inner = self.clear(offset..end)?;
        if !inner.is_empty() && self.device.geometry().discards {
            self.device
                .discard_blocking(self.place.start + inner.start, length(inner) as u64)?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        Ok(None)
    }
}

impl RawFile {
    fn check_room(&self, end: u64) -> anyhow::Result<()> {
        ensure!(
            end <= self.place.room_bytes,
            "{:?} would reach to {}, and its place on the device has {}: give it a larger size, or the target a \
             larger device",
            self.place.name,
            format_size(end),
            format_size(self.place.room_bytes)
        );
        Ok(())
    }

    /// The whole blocks around `range`.
    fn covering(&self, range: &Range<u64>) -> Range<u64> {
        range.start - range.start % self.block_bytes..range.end.next_multiple_of(self.block_bytes)
    }

    fn blocks_of(&self, range: &Range<u64>) -> Range<u64> {
        range.start / self.block_bytes..range.end.div_ceil(self.block_bytes)
    }

    /// `range` in parts that the device takes.
    fn pieces(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        let largest = u64::from(self.device.geometry().request_bytes_max);
        let step = largest - largest % self.block_bytes;
        let (mut at, end) = (range.start, range.end);
        std::iter::from_fn(move || {
            let next = end.min(at + step);
            let piece = at..next;
            at = next;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Writes whole blocks and notes that they are written.
    fn store(&self, range: &Range<u64>, bytes: &[u8]) -> anyhow::Result<()> {
        self.send(range, bytes)?;
        self.note(range);
        Ok(())
    }

    /// Writes what begins or ends within a block: with what else is in it.
    fn patch(&self, range: &Range<u64>, bytes: &[u8]) -> anyhow::Result<()> {
        let covered = self.covering(range);
        let last = covered.end - self.block_bytes;
        let mut whole = vec![0; length(covered.clone())];
        let has_head = range.start > covered.start;
        if has_head {
            self.copy_block(covered.start, &mut whole)?;
        }
        // Beyond the end of the file there are only zeros.
        let has_tail = range.end < covered.end.min(self.known.lock().size_bytes);
        if has_tail && !(has_head && last == covered.start) {
            self.copy_block(last, &mut whole[length(covered.start..last)..])?;
        }
        whole[length(covered.start..range.start)..][..bytes.len()].copy_from_slice(bytes);
        self.send(&covered, &whole)?;
        self.note(range);
        Ok(())
    }

    fn note(&self, range: &Range<u64>) {
        let mut known = self.known.lock();
        known.written.add(self.blocks_of(range));
        known.size_bytes = known.size_bytes.max(range.end);
    }

    fn send(&self, range: &Range<u64>, bytes: &[u8]) -> anyhow::Result<()> {
        for piece in self.pieces(range) {
            let part = &bytes[length(range.start..piece.start)..][..length(piece.clone())];
            let mut buf = self.buffers.take(part.len());
            buf.copy_from_slice(part);
            self.device
                .write_blocking(self.place.start + piece.start, buf, Durability::Cached)?;
        }
        Ok(())
    }

    fn fetch(&self, range: &Range<u64>) -> anyhow::Result<AlignedBuf> {
        let buf = self.buffers.take(length(range.clone()));
        Ok(self
            .device
            .read_into_blocking(self.place.start + range.start, buf)?)
    }

    /// Copies the block at `start` to the front of `to`, where it was ever written.
    fn copy_block(&self, start: u64, to: &mut [u8]) -> anyhow::Result<()> {
        if self.known.lock().written.has(start / self.block_bytes) {
            let block = self.fetch(&(start..start + self.block_bytes))?;
            to[..block.len()].copy_from_slice(&block);
        }
        Ok(())
    }

    /// Makes `range` read as zeros: whole blocks are forgotten and returned, parts of blocks are written.
    fn clear(&self, range: Range<u64>) -> anyhow::Result<Range<u64>> {
        let inner_start = range.start.next_multiple_of(self.block_bytes);
        let inner_end = range.end - range.end % self.block_bytes;
        if inner_start > inner_end {
            self.clear_part(&range)?;
            return Ok(0..0);
        }
        self.clear_part(&(range.start..inner_start))?;
        self.clear_part(&(inner_end..range.end))?;
        let inner = inner_start..inner_end;
        self.known.lock().written.remove(self.blocks_of(&inner));
        Ok(inner)
    }

    /// Writes zeros into part of one block, where that was ever written.
    fn clear_part(&self, part: &Range<u64>) -> anyhow::Result<()> {
        let block = self.covering(part);
        if part.is_empty()
            || !self
                .known
                .lock()
                .written
                .has(block.start / self.block_bytes)
        {
            return Ok(());
        }
        let mut bytes = self.fetch(&block)?;
        bytes[length(block.start..part.start)..][..length(part.clone())].fill(0);
        self.send(&block, &bytes)
    }
}

fn length(range: Range<u64>) -> usize {
    usize::try_from(range.end - range.start).expect("a request fits memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use delalloc_backends::MemBackend;
    use delalloc_workloads::{Checks, load_str};

    const DEVICE_BYTES: usize = 1 << 20;
    const BLOCK: usize = 4096;

    /// `files` on a device that is full of somebody's old bytes.
    fn target(files: &str) -> RawTarget {
        let text = format!(
            "version: 1\ntargets: {{ n: {{ null: {{}} }} }}\nfiles: {{ {files} }}\nphases: [{{ name: p, jobs: [{{ sync: a }}] }}]\n"
        );
        let plan = load_str(&text, "w.yaml", &[], Checks::none()).unwrap();
        let device = MemBackend::new(DEVICE_BYTES as u64);
        let old = AlignedBuf::copy_of(&[0xEE; DEVICE_BYTES]);
        device.write_blocking(0, old, Durability::Cached).unwrap();
        RawTarget::open(Arc::new(device), None, &plan.loads[0]).unwrap()
    }

    fn counted(target: &RawTarget, name: &str) -> f64 {
        let readings = target.counters();
        let reading = readings.iter().find(|reading| reading.metric.name == name);
        reading.expect("a counter of this name").number
    }

    fn all_of(file: &dyn TargetFile) -> Vec<u8> {
        let mut bytes = vec![0x77; DEVICE_BYTES];
        let read = file.read_at(0, &mut bytes).unwrap();
        bytes.truncate(read);
        bytes
    }

    #[test]
    fn a_synced_append_is_one_write_and_one_flush() {
        let target = target("a: {}");
        let file = target.open_file("a").unwrap();
        for nth in 0..10 {
            file.write_at(nth * BLOCK as u64, &[7; BLOCK]).unwrap();
            file.sync().unwrap();
        }
        assert_eq!(counted(&target, "device.write_requests"), 10.0);
        assert_eq!(counted(&target, "device.write_bytes"), 10.0 * BLOCK as f64);
        assert_eq!(counted(&target, "device.flushes"), 10.0);
        assert_eq!(counted(&target, "device.read_requests"), 0.0);
        target.reopen().unwrap();
        assert_eq!(all_of(&*target.open_file("a").unwrap()), [7; 10 * BLOCK]);
        assert_eq!(counted(&target, "device.read_requests"), 1.0);
    }

    #[test]
    fn any_change_of_any_bytes_is_what_a_model_says() {
        for seed in 1..=60_u64 {
            let mut dice = seed;
            let mut roll = |below: u64| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (dice >> 33) % below
            };
            let target = target("a: { size: 32KiB }, b: { size: 32KiB }");
            let file = target.open_file("b").unwrap();
            let neighbour = target.open_file("a").unwrap();
            neighbour.write_at(0, &[1; 8 * BLOCK]).unwrap();
            let mut model: Vec<u8> = Vec::new();
            for step in 0..80 {
                let (mut at, mut bytes) = (roll(32 << 10), 1 + roll(9000));
                if roll(3) == 0 {
                    (at, bytes) = (at & !4095, bytes.next_multiple_of(4096));
                }
                bytes = bytes.min((32 << 10) - at);
                let range = length(0..at)..length(0..at + bytes);
                match roll(5) {
                    0..=2 => {
                        let fresh = vec![u8::try_from(step).unwrap() + 1; range.len()];
                        file.write_at(at, &fresh).unwrap();
                        model.resize(model.len().max(range.end), 0);
                        model[range].copy_from_slice(&fresh);
                    }
                    3 => {
                        file.truncate(at).unwrap();
                        model.resize(range.start, 0);
                    }
                    _ => {
                        file.punch_hole(at, bytes).unwrap();
                        let end = range.end.min(model.len());
                        model[range.start.min(end)..end].fill(0);
                    }
                }
                let mut part = vec![0x77; length(0..bytes)];
                let read = file.read_at(at, &mut part).unwrap();
                let expected = &model[length(0..at).min(model.len())..];
                let expected = &expected[..expected.len().min(part.len())];
                assert_eq!(&part[..read], expected, "seed {seed}, step {step}");
                assert!(all_of(&*file) == model, "seed {seed}, step {step}");
            }
            assert_eq!(all_of(&*neighbour), [1; 8 * BLOCK], "seed {seed}");
        }
    }

    #[test]
    fn writers_of_one_block_do_not_undo_each_other() {
        let target = target("a: {}");
        let file = target.open_file("a").unwrap();
        file.write_at(0, &[0; 2 * BLOCK]).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let file = &file;
                scope.spawn(move || {
                    for round in 0..200_u8 {
                        let at = u64::from(writer) * 100;
                        file.write_at(at, &[round; 100]).unwrap();
                        file.write_at(BLOCK as u64, &[round; BLOCK]).unwrap();
                    }
                });
            }
        });
        assert_eq!(all_of(&*file)[..400], [199; 400]);
    }

    #[test]
    fn a_full_place_and_a_stranger_are_refused_by_name() {
        let target = target("a: { size: 8KiB }, b: {}");
        let file = target.open_file("a").unwrap();
        let errors = [
            file.write_at(BLOCK as u64, &[7; BLOCK + 1]),
            file.write_at(u64::MAX - 5, &[7; BLOCK]),
            file.truncate(8193),
        ];
        for error in errors {
            let text = error.unwrap_err().to_string();
            assert!(text.contains("\"a\"") && text.contains("8KiB"), "{text}");
        }
        let text = target.open_file("c").err().unwrap().to_string();
        assert!(text.contains("\"c\" has no place"), "{text}");
        assert_eq!(all_of(&*file), [0; 0], "nothing was written");
    }

    #[test]
    fn names_move_and_removed_files_are_empty() {
        let target = target("a: { size: 8KiB }, b: { size: 8KiB }");
        let write = |name: &str, byte| {
            let file = target.open_file(name).unwrap();
            file.write_at(0, &[byte; 10]).unwrap();
        };
        write("a", 1);
        write("b", 2);
        target.rename("a", "a~1").unwrap();
        assert!(target.open_file("a").is_err());
        target.rename("a~1", "b").unwrap();
        assert_eq!(all_of(&*target.open_file("b").unwrap()), [1; 10]);
        assert_eq!(all_of(&*target.open_file("a~1").unwrap()), [0; 0]);
        target.remove("b").unwrap();
        assert_eq!(all_of(&*target.open_file("b").unwrap()), [0; 0]);
        target.open_file("b").unwrap().truncate(20).unwrap();
        assert_eq!(all_of(&*target.open_file("b").unwrap()), [0; 20]);
    }
}
