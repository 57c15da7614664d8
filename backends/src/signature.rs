//! Whose is this device? Known magics at known places, and a verdict.
//!
//! Pure: it is given the first and last bytes of a device and says what it found. The table names
//! what people keep on disks; it errs towards finding something, since a false find costs a word
//! from the caller and a miss costs a filesystem.
//!
//! A volume of the caller's own is recognised by the caller's magic. Formatting it clears
//! everything below its first slot, so a foreign magic down there means that somebody else came
//! later, and the device is foreign again. Above and at the end are the volume's own data, which
//! may look like anything.

/// A magic that marks a device as the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Where it is, from the start of the device; below 256 KiB.
    pub offset: u64,
    /// The bytes there.
    pub magic: &'static [u8],
}

/// How much of the start and of the end of a device the verdict needs.
pub(crate) const HEAD_BYTES: usize = 256 << 10;
pub(crate) const TAIL_BYTES: usize = 128 << 10;

/// The ends of a device, and its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends<'a> {
    /// The first `HEAD_BYTES`, or all of a smaller device.
    pub(crate) head: &'a [u8],
    /// The last `TAIL_BYTES`, or all of a smaller device.
    pub(crate) tail: &'a [u8],
    pub(crate) capacity_bytes: u64,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody known.
    Nobody,
    /// The caller.
    Ours,
    /// Somebody else, by that name.
    Foreign(&'static str),
}

/// Where a magic is looked for.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// So many bytes from the start.
    Start(usize),
    /// So many bytes before the end.
    End(u64),
    /// So many bytes before the end, then down to the given multiple.
    EndAligned(u64, u64),
}

use Place::{End, EndAligned, Start};

const FOREIGN: &[(&str, Place, &[u8])] = &[
    ("ext2, ext3 or ext4", Start(0x438), b"\x53\xEF"),
    ("XFS", Start(0), b"XFSB"),
    ("btrfs", Start(0x1_0040), b"_BHRfS_M"),
    ("F2FS", Start(0x400), b"\x10\x20\xF5\xF2"),
    ("bcache or bcachefs", Start(0x1018), b"\xC6\x85\x73\xF6"),
    ("JFS", Start(0x8000), b"JFS1"),
    ("ReiserFS", Start(0x1_0034), b"ReIsEr"),
    ("NILFS2", Start(0x406), b"\x34\x34"),
    ("GFS2", Start(0x1_0000), b"\x01\x16\x19\x70"),
    ("OCFS2", Start(0x2000), b"OCFSV2"),
    ("EROFS", Start(0x400), b"\xE2\xE1\xF5\xE0"),
    ("SquashFS", Start(0), b"hsqs"),
    ("NTFS", Start(3), b"NTFS    "),
    ("BitLocker", Start(3), b"-FVE-FS-"),
    ("exFAT", Start(3), b"EXFAT   "),
    ("FAT", Start(0x36), b"FAT1"),
    ("FAT32", Start(0x52), b"FAT32   "),
    ("HFS+", Start(0x400), b"H+"),
    ("HFSX", Start(0x400), b"HX"),
    ("APFS", Start(0x20), b"NXSB"),
    ("ISO 9660", Start(0x8001), b"CD001"),
    ("UDF", Start(0x8001), b"BEA01"),
    ("swap", Start(4096 - 10), b"SWAPSPACE2"),
    ("swap", Start(4096 - 10), b"SWAP-SPACE"),
    ("swap", Start(65536 - 10), b"SWAPSPACE2"),
    ("LUKS", Start(0), b"LUKS\xBA\xBE"),
    ("LVM2", Start(0x018), b"LVM2 001"),
    ("LVM2", Start(0x218), b"LVM2 001"),
    ("LVM2", Start(0x418), b"LVM2 001"),
    ("LVM2", Start(0x618), b"LVM2 001"),
    ("Stratis", Start(0x204), b"!Stra0tis"),
    ("VDO", Start(0), b"dmvdo001"),
    ("Ceph BlueStore", Start(0), b"bluestore block device"),
    ("Linux RAID 1.1", Start(0), b"\xFC\x4E\x2B\xA9"),
    ("Linux RAID 1.2", Start(0x1000), b"\xFC\x4E\x2B\xA9"),
    (
        "Linux RAID 1.0",
        EndAligned(8 << 10, 4 << 10),
        b"\xFC\x4E\x2B\xA9",
    ),
    (
        "Linux RAID 0.90",
        EndAligned(64 << 10, 64 << 10),
        b"\xFC\x4E\x2B\xA9",
    ),
    ("a GPT partition table", Start(512), b"EFI PART"),
    ("a GPT partition table", Start(4096), b"EFI PART"),
    ("a backup GPT partition table", End(512), b"EFI PART"),
    ("a backup GPT partition table", End(4096), b"EFI PART"),
    // Last: boot sectors of filesystems above carry it too.
    (
        "an MBR partition table or boot sector",
        Start(510),
        b"\x55\xAA",
    ),
];

/// ZFS rotates its root block through this ring, in slots of at least 1 KiB.
const ZFS_RING: std::ops::Range<usize> = 0x2_0000..0x4_0000;

/// Says whose the device is.
pub(crate) fn owner(ends: Ends<'_>, ours: &[Signature]) -> Owner {
    let own_slots = ours.iter().filter(|own| {
        usize::try_from(own.offset).is_ok_and(|offset| holds(ends.head, offset, own.magic))
    });
    let is_ours = own_slots.count() > 0;
    let first_slot = ours.iter().map(|own| own.offset).min().unwrap_or(0);
    let counts = |place: Place| match place {
        Start(offset) => !is_ours || (offset as u64) < first_slot,
        End(_) | EndAligned(..) => !is_ours,
    };
    let found = FOREIGN
        .iter()
        .find(|(_, place, magic)| counts(*place) && at(ends, *place, magic));
    match found {
        Some((name, ..)) => Owner::Foreign(name),
        None if is_ours => Owner::Ours,
        None if zfs_ring(ends.head) => Owner::Foreign("ZFS"),
        None => Owner::Nobody,
    }
}

fn at(ends: Ends<'_>, place: Place, magic: &[u8]) -> bool {
    let from_start = match place {
        Start(offset) => return holds(ends.head, offset, magic),
        End(before) => ends.capacity_bytes.checked_sub(before),
        EndAligned(before, align) => ends
            .capacity_bytes
            .checked_sub(before)
            .map(|offset| offset - offset % align),
    };
    let tail_start = ends.capacity_bytes - ends.tail.len() as u64;
    from_start
        .and_then(|offset| offset.checked_sub(tail_start))
        .and_then(|offset| usize::try_from(offset).ok())
        .is_some_and(|offset| holds(ends.tail, offset, magic))
}

fn holds(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes
        .get(offset..)
        .is_some_and(|rest| rest.starts_with(magic))
}

fn zfs_ring(head: &[u8]) -> bool {
    ZFS_RING.step_by(1024).any(|slot| {
        holds(head, slot, b"\x0C\xB1\xBA\0\0\0\0\0") || holds(head, slot, b"\0\0\0\0\0\xBA\xB1\x0C")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [Signature; 2] = [
        Signature {
            offset: 0x1_0000,
            magic: b"OURMAGIC",
        },
        Signature {
            offset: 0x1_1000,
            magic: b"OURMAGIC",
        },
    ];
    const CAPACITY_BYTES: usize = 1 << 20;

    fn judge(places: &[(usize, &[u8])]) -> Owner {
        let mut image = vec![0; CAPACITY_BYTES];
        for (offset, magic) in places {
            image[*offset..*offset + magic.len()].copy_from_slice(magic);
        }
        let ends = Ends {
            head: &image[..HEAD_BYTES],
            tail: &image[CAPACITY_BYTES - TAIL_BYTES..],
            capacity_bytes: CAPACITY_BYTES as u64,
        };
        owner(ends, &OURS)
    }

    #[test]
    fn every_row_is_found_where_it_says() {
        assert_eq!(judge(&[]), Owner::Nobody);
        for (name, place, magic) in FOREIGN {
            let offset = match place {
                Start(offset) => *offset as u64,
                End(before) => CAPACITY_BYTES as u64 - before,
                EndAligned(before, align) => (CAPACITY_BYTES as u64 - before) / align * align,
            };
            let offset = usize::try_from(offset).expect("small");
            assert_eq!(judge(&[(offset, magic)]), Owner::Foreign(name));
        }
        let slot = 0x2_0000 + 77 * 1024;
        let root: &[u8] = b"\x0C\xB1\xBA\0\0\0\0\0";
        assert_eq!(judge(&[(slot, root)]), Owner::Foreign("ZFS"));
    }

    #[test]
    fn our_magic_in_either_slot_covers_what_lies_above_but_not_below() {
        let (first, second) = ((0x1_0000, OURS[0].magic), (0x1_1000, OURS[1].magic));
        assert_eq!(judge(&[first]), Owner::Ours);
        assert_eq!(judge(&[second]), Owner::Ours);
        let data_above: (usize, &[u8]) = (0x1_0040, b"_BHRfS_M");
        let data_at_end: (usize, &[u8]) = (CAPACITY_BYTES - 512, b"EFI PART");
        assert_eq!(judge(&[second, data_above, data_at_end]), Owner::Ours);
        let newcomer: (usize, &[u8]) = (0x438, b"\x53\xEF");
        assert!(matches!(judge(&[first, newcomer]), Owner::Foreign(_)));
    }

    #[test]
    fn a_device_smaller_than_what_is_looked_at_is_judged_by_what_it_has() {
        let image = [0; 4096];
        let ends = Ends {
            head: &image,
            tail: &image,
            capacity_bytes: 4096,
        };
        assert_eq!(owner(ends, &OURS), Owner::Nobody);
    }
}
