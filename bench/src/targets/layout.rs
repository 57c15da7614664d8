//! Where the files of a workload lie on a device without a filesystem.
//!
//! One after the other, in the order of the workload: a file with a size gets that size, rounded up
//! to `PLACE_ALIGN_BYTES`; the files without one share alike what is left. Nothing grows and nothing
//! moves, so what cannot fit is known before the first byte is moved.
//!
//! Invariants
//!   * Places do not overlap, lie within the device, and start and end at `PLACE_ALIGN_BYTES`.
//!
//! Not here: reading and writing there, and which bytes of a place are in use (raw).

use delalloc_workloads::LoadPlan;
use delalloc_workloads::plan::{FileSpan, PhasePlan, Work};
use delalloc_workloads::units::format_size;

/// Places start at multiples of this: no device has larger blocks.
const PLACE_ALIGN_BYTES: u64 = 4096;

/// The part of the device that belongs to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What the workload calls the file.
    pub name: String,
    /// First byte on the device.
    pub start: u64,
    /// The most bytes the file can have.
    pub room_bytes: u64,
}

/// The places of all files of `load` on a device of `capacity_bytes`; every reason why there are none.
pub fn lay_out(load: &LoadPlan, capacity_bytes: u64) -> Result<Vec<Place>, Vec<String>> {
    if has_traces(load) {
        return Err(vec![
            "a recording brings files of sizes nobody knows before; a raw device has no place for them"
                .to_owned(),
        ]);
    }
    let unsized_bytes = share_bytes(load, capacity_bytes).map_err(|fault| vec![fault])?;
    let mut start = 0;
    let places: Vec<Place> = load
        .files
        .iter()
        .map(|file| {
            let room_bytes = file.size_bytes.map_or(unsized_bytes, rounded);
            let place = Place {
                name: file.name.clone(),
                start,
                room_bytes,
            };
            start += room_bytes;
            place
        })
        .collect();
    let faults = overreaches(load, &places);
    if faults.is_empty() {
        Ok(places)
    } else {
        Err(faults)
    }
}

fn rounded(bytes: u64) -> u64 {
    bytes.next_multiple_of(PLACE_ALIGN_BYTES)
}

fn has_traces(load: &LoadPlan) -> bool {
    let mut jobs = load.phases.iter().flat_map(|phase| &phase.jobs);
    jobs.any(|job| matches!(job.work, Work::Trace(_)))
}

/// What each file without a size gets.
fn share_bytes(load: &LoadPlan, capacity_bytes: u64) -> Result<u64, String> {
    let sizes = load.files.iter().filter_map(|file| file.size_bytes);
    let sized_bytes = sizes.fold(0, |sum: u64, bytes| sum.saturating_add(rounded(bytes)));
    let (needed, there) = (format_size(sized_bytes), format_size(capacity_bytes));
    let Some(left_bytes) = capacity_bytes.checked_sub(sized_bytes) else {
        return Err(format!(
            "the files take {needed} and the device has {there}"
        ));
    };
    let sharers = load.files.iter().filter(|file| file.size_bytes.is_none());
    let sharers = sharers.count() as u64;
    let share_bytes = left_bytes.checked_div(sharers).unwrap_or(0) / PLACE_ALIGN_BYTES;
    if sharers > 0 && share_bytes == 0 {
        return Err(format!(
            "the files with a size take {needed} of {there}, and nothing is left for the {sharers} without"
        ));
    }
    Ok(share_bytes * PLACE_ALIGN_BYTES)
}

/// Jobs that are sure to reach past the end of a place. Appends may: how many there will be is not
/// always known.
fn overreaches(load: &LoadPlan, places: &[Place]) -> Vec<String> {
    let mut faults = Vec::new();
    for phase in &load.phases {
        for (job, files, end) in reaches(phase) {
            let first = files.first.0 as usize;
            let of_job = &places[first..first + files.count as usize];
            if let Some(place) = of_job.iter().find(|place| place.room_bytes < end) {
                faults.push(format!(
                    "{job} of {} reaches to {} of {}, which has a place of {}",
                    phase.name,
                    format_size(end),
                    place.name,
                    format_size(place.room_bytes)
                ));
            }
        }
    }
    faults
}

/// How far the jobs of a phase reach into their files, where that is written down.
fn reaches(phase: &PhasePlan) -> impl Iterator<Item = (&str, FileSpan, u64)> {
    phase.jobs.iter().filter_map(|job| match &job.work {
        // Files that differ in size are worked on from end to end, and so fit their places.
        Work::Access(access) if !access.whole_files => {
            let end = access.region_start.saturating_add(access.region_bytes);
            Some((&*job.name, access.files, end))
        }
        Work::Truncate { files, to_bytes } => Some((&*job.name, *files, *to_bytes)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use delalloc_workloads::{Checks, load_str};

    const MIB: u64 = 1 << 20;

    fn places(files: &str, job: &str, capacity_bytes: u64) -> Result<Vec<(u64, u64)>, String> {
        let text = format!(
            "version: 1\ntargets: {{ n: {{ null: {{}} }} }}\nfiles: {{ {files} }}\nphases: [{{ name: p, jobs: [{{ {job} }}] }}]\n"
        );
        let plan = load_str(&text, "w.yaml", &[], Checks::none()).unwrap();
        match lay_out(&plan.loads[0], capacity_bytes) {
            Ok(places) => Ok(places
                .iter()
                .map(|place| (place.start, place.room_bytes))
                .collect()),
            Err(faults) => Err(faults.join("; ")),
        }
    }

    #[test]
    fn sizes_are_rounded_up_and_the_rest_is_shared() {
        let job = "append: log, block: 4KiB, ops: 1";
        let files = "log: {}, odd: { size: 10000B, count: 2 }, other: {}";
        assert_eq!(
            places(files, job, MIB).unwrap(),
            [
                (0, 512_000),
                (512_000, 12_288),
                (524_288, 12_288),
                (536_576, 512_000)
            ]
        );
        let whole = places("log: { size: 1MiB }", job, MIB);
        assert_eq!(whole, Ok(vec![(0, MIB)]), "a full device is not too full");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_sizes() {
        let job = "append: log, block: 4KiB, ops: 1";
        let refused = |files, capacity| places(files, job, capacity).unwrap_err();
        let text = refused("log: { size: 2MiB }", MIB);
        assert!(text.contains("2MiB") && text.contains("1MiB"), "{text}");
        let text = refused("log: {}, t: { size: 1MiB }", MIB);
        assert!(text.contains("nothing is left for the 1 without"), "{text}");
        let text = refused("log: { size: 65536TiB, count: 1024 }", MIB);
        assert!(text.contains("the device has 1MiB"), "{text}");
    }

    #[test]
    fn a_job_that_reaches_past_its_place_is_refused() {
        let reaching = |job| places("a: {}, b: {}", job, 2 * MIB);
        assert!(reaching("write: b, block: 4KiB, offset: 512KiB, length: 512KiB").is_ok());
        let text = reaching("write: b, block: 4KiB, offset: 516KiB, length: 512KiB").unwrap_err();
        assert!(text.contains("write-b of p reaches"), "{text}");
        assert!(reaching("truncate: a, to: 1MiB").is_ok());
        assert!(reaching("truncate: a, to: 2MiB").is_err());
    }

    #[test]
    fn a_recording_has_no_place() {
        let text = places("a: {}", "trace: { path: x.csv }", MIB).unwrap_err();
        assert!(text.contains("recording"), "{text}");
    }
}
