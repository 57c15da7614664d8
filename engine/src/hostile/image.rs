//! Hostile metadata of a whole image: nodes and superblocks that are damaged and sealed again, and a log
//! of any records.
//!
//! Each input is put on a fork of one small sound volume. What is there is checked, opened and used
//! up: every file is looked through, cut and removed, and the rest committed. If the check found
//! nothing, all of that works, and the check finds nothing afterwards.
//!
//! Not here: single pieces (mod), reading data through a volume (tests/bit_flips).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability, MemBackend};

use super::{records, use_extent};
use crate::compress::Codec;
use crate::log::Record;
use crate::log::format as log_format;
use crate::log::format::BatchHeader;
use crate::meta::format::{self, SUPERBLOCK_AT, SUPERBLOCK_BYTES, Superblock};
use crate::meta::node_store::NodeShape;
use crate::meta::{self, FormatOptions, MetaConfig, Metadata, NewExtent};
use crate::recover::walk::{Onward, walk};
use crate::recover::{Severity, check};
use crate::units::{DiskExtent, DiskOffset, FILE_BYTES_MAX, FileRange, Generation, PAGE_BYTES};
use crate::writeback::checksums;

/// Bytes of one edit of an image.
const EDIT_BYTES: usize = 12;
/// Edits of an image that are made.
const EDITS_MAX: usize = 16;
/// The sound volume: small, with nodes so small that its tree has levels.
const TEMPLATE_BYTES: u64 = 2 << 20;
const TEMPLATE_LOG_BYTES: u64 = 64 << 10;
const TEMPLATE_NODE_BYTES: u32 = 1024;
const TEMPLATE_FILES: u64 = 12;

/// A volume of a few files whose metadata is damaged by edits of twelve bytes each, and sealed again:
/// which superblock or node, how many bytes to set, two for where, eight to put there. It is
/// checked, opened and used up.
pub fn image(bytes: &[u8]) {
    let template = template();
    let mut damaged: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for edit in bytes.chunks_exact(EDIT_BYTES).take(EDITS_MAX) {
        let at = usize::from(edit[0]) % template.places.len();
        let place = &template.places[at];
        let place_bytes = damaged.entry(at).or_insert_with(|| place.bytes.clone());
        let width = 1 << (edit[1] % 4);
        let at = usize::from(u16::from_le_bytes([edit[2], edit[3]]));
        let at = at % (place_bytes.len() - width + 1);
        place_bytes[at..at + width].copy_from_slice(&edit[4..4 + width]);
    }
    let device = template.device.fork();
    for (at, mut bytes) in damaged {
        let place = &template.places[at];
        place.seal(&mut bytes);
        bytes.resize(format::SECTOR_LEN, 0);
        let buf = AlignedBuf::copy_of(&bytes);
        let written = device.write_blocking(place.at.0, buf, Durability::Cached);
        written.expect("memory takes what fits it");
    }
    let worst = check(&device).worst();
    let opens = use_image(&device, worst);
    assert!(
        opens || worst.is_some(),
        "nothing is wrong and it does not open"
    );
}

/// Records of the log, behind a byte that says what is around them. They are decoded; then they are what the
/// log of a sound volume holds, which is checked, opened and used up.
///
/// | bits | meaning |
/// |---|---|
/// | 0 | the records keep their generations; else they are of the running one |
/// | 1 | the superblock says that a replay has made all changes, so that only pages it names count |
/// | 2, 3 | the superblock names no pages as held, all, every second or every third |
/// | 4, 5 | so many batches, and one |
pub fn log(bytes: &[u8]) {
    let [choice, payload @ ..] = bytes else {
        return;
    };
    let mut payload = payload.to_vec();
    payload.truncate(payload.len() / 8 * 8);
    use_records(&payload);
    let template = template();
    let device = template.device.fork();
    let mut superblock = meta::superblock::choose(&device).expect("it is sound");
    let decodes = log_format::decode_all(&payload).is_ok();
    if choice & 1 == 0 && decodes {
        log_format::stamp(&mut payload, Generation(superblock.generation.0 + 1));
    }
    hold(&device, &mut superblock, *choice);
    let runs = if decodes {
        records::cut(&payload, 1 + usize::from(choice >> 4 & 3))
    } else {
        vec![&payload[..]]
    };
    let Some(batches) = template_batches(&superblock, &runs) else {
        return;
    };
    for (at, batch) in batches {
        let written = device.write_blocking(at.0, AlignedBuf::copy_of(&batch), Durability::Cached);
        written.expect("memory takes what fits it");
    }
    let worst = check(&device).worst();
    use_image(&device, worst);
}

/// Makes the newest superblock of a sound volume say of its log what `choice` says.
fn hold(device: &dyn Backend, superblock: &mut Superblock, choice: u8) {
    superblock.replayed = choice & 2 != 0;
    let held = match choice >> 2 & 3 {
        0 => 0,
        1 => 0xFF,
        2 => 0x55,
        _ => 0x49,
    };
    superblock.held.bits.fill(held);
    let at = meta::superblock::slot_of(superblock.generation);
    let written = meta::superblock::write_at(device, superblock, at);
    written.expect("memory takes what fits it");
}

fn use_records(payload: &[u8]) {
    let Ok(records) = log_format::decode_all(payload) else {
        return;
    };
    let mut again = Vec::new();
    for (generation, record) in &records {
        if let Record::Finish { extent, .. } = record {
            assert!(extent.ram_bytes <= meta::EXTENT_PLAIN_BYTES_MAX);
            assert_eq!(
                extent.checksums.len() as u64 * PAGE_BYTES,
                extent.disk.bytes
            );
        }
        log_format::encode(record, *generation, &mut again);
    }
    let back = log_format::decode_all(&again).expect("it was just encoded");
    assert_eq!(back.len(), records.len());
    for ((_, back), (_, record)) in back.iter().zip(&records) {
        assert_eq!(format!("{back:?}"), format!("{record:?}"));
    }
}

/// A sealed batch of each run of records for the tail of the log, and where it goes, if all fit behind it.
fn template_batches(superblock: &Superblock, runs: &[&[u8]]) -> Option<Vec<(DiskOffset, Vec<u8>)>> {
    let log = superblock.log;
    let mut batches = Vec::new();
    let mut offset = log.tail.offset;
    for (sequence, payload) in (log.tail.sequence..).zip(runs) {
        let address = DiskOffset(log.extent.start.0 + offset);
        let header = BatchHeader {
            volume: superblock.volume(),
            sequence,
            address,
            payload_bytes: u32::try_from(payload.len()).ok()?,
            records: 1,
            generation: Generation(superblock.generation.0 + 1),
            mask: 0,
        };
        if header.stored_bytes() > log.extent.bytes - offset {
            return None;
        }
        let mut batch = vec![0; log_format::HEADER_BYTES];
        batch.extend_from_slice(payload);
        batch.resize(length(header.stored_bytes()), 0);
        log_format::seal_batch(&mut batch, &header);
        offset += header.stored_bytes();
        batches.push((address, batch));
    }
    Some(batches)
}

/// Opens a device and uses it up; false where it does not open. The check, which does not follow what
/// the log does to mappings, found `worst`.
fn use_image(device: &MemBackend, worst: Option<Severity>) -> bool {
    // A volume at the last generation there is opens, and after one more commit does not.
    let is_at_the_end = meta::superblock::choose(device).is_ok_and(|superblock| {
        superblock.generation.0.max(superblock.file_next) > format::COUNT_MAX / 2
    });
    let opened = Metadata::open(Arc::new(device.reopen()), MetaConfig::default());
    let Ok(meta) = opened else {
        return false;
    };
    let used = use_up(&meta);
    if worst.is_none_or(|worst| worst == Severity::Warning) {
        used.expect("nothing is wrong with it");
        let report = check(device);
        assert!(report.is_clean() || is_at_the_end, "{:?}", report.issues);
    }
    true
}

/// Everything that is done with metadata, each file in a way of its own.
fn use_up(meta: &Metadata) -> crate::Result<()> {
    let name = "a file made after the damage";
    let file = match meta.find(name) {
        Some(file) => file,
        None => meta.create(name)?,
    };
    for inode in meta.inodes()? {
        let extents = meta.extents(inode.file)?;
        for extent in extents.iter().take(64) {
            use_extent(extent);
            let ends = [extent.file_start, extent.range().end];
            for offset in ends.into_iter().filter(|&at| at < FILE_BYTES_MAX) {
                let mapping = meta.lookup(inode.file, offset)?.range();
                assert!(mapping.start <= offset && offset < mapping.end);
            }
            meta.checksums(extent.disk)?;
        }
        if inode.file.0 % 2 == 0 {
            meta.punch(inode.file, FileRange::new(PAGE_BYTES, 3 * PAGE_BYTES), None)?;
            meta.truncate(inode.file, PAGE_BYTES, 0)?;
        } else if inode.file != file {
            meta.remove_file(inode.file)?;
        }
    }
    meta.commit()?;
    Ok(())
}

/// A sound image, and its superblocks and nodes.
struct Template {
    device: MemBackend,
    places: Vec<Place>,
}

/// A superblock or a node of a sound image.
struct Place {
    at: DiskOffset,
    bytes: Vec<u8>,
}

impl Place {
    /// Makes the checksum of other bytes for this place right, and nothing else.
    fn seal(&self, bytes: &mut [u8]) {
        let end = bytes.len();
        let (crc_at, covered) = if self.at < format::AREA_START {
            (end - 4, 0..end - 4)
        } else {
            (0, 4..end)
        };
        let crc = crc32c::crc32c(&bytes[covered]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| make_template().expect("memory takes what fits it"))
}

/// A tree of two levels: files of one raw extent with a hole punched into it, and of one compressed.
fn make_template() -> crate::Result<Template> {
    let device = MemBackend::new(TEMPLATE_BYTES);
    let options = FormatOptions {
        node_bytes: TEMPLATE_NODE_BYTES,
        log_bytes: Some(TEMPLATE_LOG_BYTES),
        ..FormatOptions::default()
    };
    Metadata::format(&device, &options)?;
    let meta = Metadata::open(Arc::new(device.reopen()), MetaConfig::default())?;
    for number in 0..TEMPLATE_FILES {
        let file = meta.create(&format!("{number:0>20}"))?;
        let pages = 4;
        let stored_pages = if number % 2 == 0 { pages } else { 1 };
        let mut reservation = meta.reserve(pages * PAGE_BYTES)?;
        let stored_bytes = stored_pages * PAGE_BYTES;
        let disks = meta.allocate_pieces(&mut reservation, stored_bytes, stored_bytes, None)?;
        for disk in disks {
            let extent = template_extent(&device, disk, stored_pages == pages)?;
            meta.finish_extent(file, &extent, Some(extent.range.end))?;
        }
        if number % 4 == 0 {
            meta.punch(file, FileRange::new(PAGE_BYTES, 2 * PAGE_BYTES), None)?;
        }
    }
    meta.commit()?;
    let places = places_of(&device)?;
    Ok(Template { device, places })
}

fn template_extent(
    device: &MemBackend,
    disk: DiskExtent,
    is_raw: bool,
) -> crate::Result<NewExtent> {
    let stored = vec![0xC3; length(disk.bytes)];
    device.write_blocking(
        disk.start.0,
        AlignedBuf::copy_of(&stored),
        Durability::Cached,
    )?;
    let ram_bytes = if is_raw { disk.bytes } else { 4 * PAGE_BYTES };
    Ok(NewExtent {
        range: FileRange::new(0, ram_bytes),
        disk,
        ram_bytes,
        codec: if is_raw {
            meta::CODEC_RAW
        } else {
            Codec::Zstd.number()
        },
        checksums: checksums(&stored),
    })
}

fn places_of(device: &dyn Backend) -> crate::Result<Vec<Place>> {
    let superblock = meta::superblock::choose(device)?;
    let shape = NodeShape::of(&superblock);
    let mut found: Vec<(DiskOffset, usize)> = SUPERBLOCK_AT
        .iter()
        .map(|&at| (at, SUPERBLOCK_BYTES))
        .collect();
    let (root, level) = (superblock.root, superblock.root_level);
    walk(device, shape, root, level, &mut |visit| {
        found.push((visit.pointer.address, shape.node_bytes as usize));
        Ok(Onward::Children)
    })?;
    found
        .into_iter()
        .map(|(at, len)| {
            let sector = device.read_blocking(at.0, format::SECTOR_LEN)?;
            let bytes = sector[..len].to_vec();
            Ok(Place { at, bytes })
        })
        .collect()
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it fits memory")
}
