//! The model of the promise: what was done to each file, in order, and what was acknowledged when.
//!
//! Time is the recorder's count of events. A change *began* when the count was read before it was asked
//! for: nothing of it can be on the device that far into the log. A promise holds from the count read
//! after its sync returned; what it covers was fixed when that sync was asked for.
//!
//! Not here: asking the volume (stage), looking at images (survey).

use std::sync::Arc;

use delalloc_engine::FileId;

const PAGE: usize = 4096;

/// Which file, in the order they came to be.
pub(crate) type Object = usize;

/// A value from some moment on.
#[derive(Debug, Clone)]
struct Since<T> {
    began: u64,
    value: T,
}

/// From event `at` on nothing older than these counts.
#[derive(Debug, Clone, Copy)]
struct Floor {
    at: u64,
    name: usize,
    content: usize,
}

#[derive(Debug)]
struct History {
    file: FileId,
    names: Vec<Since<Option<String>>>,
    contents: Vec<Since<Arc<[u8]>>>,
    /// The newest content whose change has returned.
    settled: usize,
    floors: Vec<Floor>,
    /// Files this one took the name of.
    replaced: Vec<Object>,
}

/// What a sync would promise, as things stand when it is asked for.
#[derive(Debug)]
pub(crate) struct Covered(Vec<(Object, usize, usize)>);

/// A file as it is found on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) file: FileId,
    pub(crate) bytes: Vec<u8>,
}

/// All files there ever were on a volume.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    histories: Vec<History>,
}

impl Oracle {
    /// A volume that holds `found`, all of it durable.
    pub(crate) fn holding(found: &[Found]) -> Self {
        let mut oracle = Self::default();
        for file in found {
            let object = oracle.created(0, &file.name, file.file);
            oracle.changed(object, 0, file.bytes.clone());
            oracle.settled(object);
            let covered = oracle.cover(object);
            oracle.promise(&covered, 0);
        }
        oracle
    }

    /// An empty file of this number and name.
    pub(crate) fn created(&mut self, began: u64, name: &str, file: FileId) -> Object {
        self.histories.push(History {
            file,
            names: vec![Since {
                began,
                value: Some(name.to_owned()),
            }],
            contents: vec![Since {
                began,
                value: Arc::from(Vec::new()),
            }],
            settled: 0,
            floors: Vec::new(),
            replaced: Vec::new(),
        });
        self.histories.len() - 1
    }

    /// What the file holds now.
    pub(crate) fn content(&self, object: Object) -> Arc<[u8]> {
        let newest = self.histories[object].contents.last();
        Arc::clone(&newest.expect("a file holds something").value)
    }

    /// The file is about to hold this.
    pub(crate) fn changed(&mut self, object: Object, began: u64, content: Vec<u8>) {
        self.histories[object].contents.push(Since {
            began,
            value: Arc::from(content),
        });
    }

    /// It does.
    pub(crate) fn settled(&mut self, object: Object) {
        let history = &mut self.histories[object];
        history.settled = history.contents.len() - 1;
    }

    /// The file has another name, which `replaced` had before.
    pub(crate) fn renamed(
        &mut self,
        object: Object,
        began: u64,
        to: &str,
        replaced: Option<Object>,
    ) {
        self.histories[object].names.push(Since {
            began,
            value: Some(to.to_owned()),
        });
        if let Some(replaced) = replaced {
            self.removed(replaced, began);
            self.histories[object].replaced.push(replaced);
        }
    }

    /// The file has no name any more.
    pub(crate) fn removed(&mut self, object: Object, began: u64) {
        self.histories[object]
            .names
            .push(Since { began, value: None });
    }

    /// What a sync of the file covers now.
    pub(crate) fn cover(&self, object: Object) -> Covered {
        let history = &self.histories[object];
        let mut covered = vec![(object, history.names.len() - 1, history.settled)];
        for &replaced in &history.replaced {
            covered.push((replaced, self.histories[replaced].names.len() - 1, 0));
        }
        Covered(covered)
    }

    /// What a sync of the volume covers now.
    pub(crate) fn cover_all(&self) -> Covered {
        let covered = self.histories.iter().enumerate();
        Covered(
            covered
                .map(|(object, history)| (object, history.names.len() - 1, history.settled))
                .collect(),
        )
    }

    /// The sync has returned, `at` events into the log.
    pub(crate) fn promise(&mut self, covered: &Covered, at: u64) {
        for &(object, name, content) in &covered.0 {
            self.histories[object]
                .floors
                .push(Floor { at, name, content });
        }
    }

    /// May a crash after the first `at` events leave this? The error says what it may not.
    pub(crate) fn judge(&self, at: u64, found: &[Found]) -> Result<(), String> {
        for file in found {
            let known = self
                .histories
                .iter()
                .find(|history| history.file == file.file && history.names[0].began < at.max(1));
            if known.is_none() {
                return Err(format!(
                    "{:?} is file {:?}, which was never made",
                    file.name, file.file
                ));
            }
        }
        for history in &self.histories {
            let mut shown = found.iter().filter(|file| file.file == history.file);
            history.judge(at, shown.next())?;
            if let Some(twice) = shown.next() {
                return Err(format!("{:?} is found a second time", twice.name));
            }
        }
        Ok(())
    }
}

impl History {
    fn judge(&self, at: u64, found: Option<&Found>) -> Result<(), String> {
        let promised = || self.floors.iter().filter(|floor| floor.at <= at);
        let name_floor = promised().map(|floor| floor.name).max();
        let names = since(&self.names, name_floor, at);
        let known_as = || {
            let names: Vec<_> = names.iter().map(|since| &since.value).collect();
            format!("{:?}, of which it may have {names:?}", self.file)
        };
        let Some(found) = found else {
            let may_be_gone =
                name_floor.is_none() || names.iter().any(|since| since.value.is_none());
            return match may_be_gone {
                true => Ok(()),
                false => Err(format!("file {} is gone", known_as())),
            };
        };
        if !names
            .iter()
            .any(|since| since.value.as_ref() == Some(&found.name))
        {
            return Err(format!(
                "{:?} is the name of file {}",
                found.name,
                known_as()
            ));
        }
        let content_floor = promised().map(|floor| floor.content).max();
        judge_bytes(&found.bytes, since(&self.contents, content_floor, at))
            .map_err(|fault| format!("{:?}: {fault}", found.name))
    }
}

/// The values that count at `at`: from the floor on, as far as they had begun.
fn since<T>(values: &[Since<T>], floor: Option<usize>, at: u64) -> &[Since<T>] {
    let from = floor.unwrap_or(0);
    let begun = values.iter().take_while(|since| since.began < at).count();
    &values[from..begun.max(from + 1)]
}

fn judge_bytes(found: &[u8], contents: &[Since<Arc<[u8]>>]) -> Result<(), String> {
    let sizes = || contents.iter().map(|since| since.value.len());
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    if !(least..=most).contains(&found.len()) {
        return Err(format!("{} bytes, not {least} to {most}", found.len()));
    }
    for (number, page) in found.chunks(PAGE).enumerate() {
        let range = number * PAGE..number * PAGE + page.len();
        // A content that is shorter than what was found of this page is not what is shown here: the
        // size on disk moves over completed bytes alone.
        let was_so = |since: &Since<Arc<[u8]>>| since.value.get(range.clone()) == Some(page);
        if !contents.iter().any(was_so) {
            return Err(format!(
                "page {number} of {} was never like this, in {} contents; it begins {:02x?}",
                found.len().div_ceil(PAGE),
                contents.len(),
                &page[..page.len().min(16)]
            ));
        }
    }
    Ok(())
}
