//! Names and inodes: a flat namespace, whole in memory, written through to inode items.
//!
//! The name is part of the inode item: one item per file, and no second tree to agree with. The price
//! is that names are held in memory while the volume is open.
//!
//! Not here: what files hold (extents).

use super::format::{self, Key};
use super::metadata::{Metadata, Need, State};
use super::types::Inode;
use crate::alloc::Reserve;
use crate::error::{EngineError, Result};
use crate::log::Record;
use crate::mutation::{self, Mutation};
use crate::units::{FileId, Generation};

impl Metadata {
    /// Every file, orphans included, by number.
    pub fn inodes(&self) -> Result<Vec<Inode>> {
        Ok(self.state.read().files.values().cloned().collect())
    }

    /// One file.
    pub fn inode(&self, file: FileId) -> Result<Option<Inode>> {
        Ok(self.state.read().files.get(&file).cloned())
    }

    /// The file of this name.
    pub fn find(&self, name: &str) -> Option<FileId> {
        self.state.read().names.get(name).copied()
    }

    /// A new empty file; `Exists` where the name is taken.
    pub fn create(&self, name: &str) -> Result<FileId> {
        self.create_as(name, None, Reserve::Kept)
    }

    /// A new empty file with the next number, or with the one it had before a crash.
    pub(crate) fn create_as(
        &self,
        name: &str,
        number: Option<FileId>,
        reserve: Reserve,
    ) -> Result<FileId> {
        self.check_name(name)?;
        self.edit(
            |state| {
                if state.names.contains_key(name) {
                    return Err(EngineError::Exists(name.to_owned()));
                }
                Ok((need(1, 1, reserve), ()))
            },
            |edit, ()| {
                let inode = Inode {
                    file: number.unwrap_or(FileId(*edit.file_next)),
                    size_bytes: 0,
                    name: name.to_owned(),
                    orphan: false,
                    generation: edit.change.generation(),
                };
                let file = inode.file;
                edit.change
                    .insert(&Key::inode(file), &format::encode_inode(&inode))?;
                *edit.file_next = (*edit.file_next).max(file.0 + 1);
                edit.log(&Record::Create {
                    file,
                    name: name.into(),
                });
                edit.names.insert(inode.name.clone(), file);
                edit.files.insert(file, inode);
                Ok(file)
            },
        )
    }

    /// Gives a file a new name; `replace`, which has that name, becomes an orphan in the same step.
    pub fn rename(&self, file: FileId, name: &str, replace: Option<FileId>) -> Result<()> {
        self.rename_from(file, name, replace, Reserve::Most)
    }

    /// The same, with so much of the metadata reserve.
    pub(crate) fn rename_from(
        &self,
        file: FileId,
        name: &str,
        replace: Option<FileId>,
        reserve: Reserve,
    ) -> Result<()> {
        self.check_name(name)?;
        self.edit(
            |state| {
                let inode = named(state, file)?;
                match (state.names.get(name), replace) {
                    (None, None) => {}
                    (Some(&holder), _) if holder == file => {}
                    (Some(holder), Some(replace)) if *holder == replace => {}
                    (Some(_), _) => return Err(EngineError::Exists(name.to_owned())),
                    (None, Some(_)) => return Err(EngineError::NotFound(name.to_owned())),
                }
                Ok((need(2, 1, reserve), inode))
            },
            |edit, mut inode| {
                if inode.name == name {
                    return Ok(());
                }
                let holder = edit.names.get(name).copied();
                if let Some(replaced) = holder.filter(|_| !mutation::on(Mutation::ReplacedKept)) {
                    edit.change
                        .update(&Key::inode(replaced), format::patch_inode_orphan)?;
                    if let Some(replaced) = edit.files.get_mut(&replaced) {
                        replaced.orphan = true;
                    }
                }
                edit.names.remove(&inode.name);
                name.clone_into(&mut inode.name);
                edit.change
                    .insert(&Key::inode(file), &format::encode_inode(&inode))?;
                edit.names.insert(inode.name.clone(), file);
                edit.files.insert(file, inode);
                edit.log(&Record::Rename {
                    file,
                    name: name.into(),
                });
                Ok(())
            },
        )
    }

    /// Takes a file's name away; the file stays until `remove_file`, or until the next open lists it.
    pub fn set_orphan(&self, file: FileId) -> Result<()> {
        self.edit(
            |state| Ok((need(1, 0, Reserve::All), named(state, file)?)),
            |edit, inode| {
                edit.change
                    .update(&Key::inode(file), format::patch_inode_orphan)?;
                edit.names.remove(&inode.name);
                if let Some(inode) = edit.files.get_mut(&file) {
                    inode.orphan = true;
                }
                edit.log(&Record::Orphan { file });
                Ok(())
            },
        )
    }

    /// Drops a file's extents in bounded atomic steps, then the file. Its name goes first.
    pub fn remove_file(&self, file: FileId) -> Result<()> {
        let Some(inode) = self.inode(file)? else {
            return Err(EngineError::Removed);
        };
        if !inode.orphan {
            self.set_orphan(file)?;
        }
        self.truncate(file, 0, 0)?;
        self.remove_inode(file)
    }

    /// Removes a file that a crash left without a name, unless it is too damaged for that.
    pub(crate) fn remove_orphan(&self, file: FileId) -> Result<()> {
        if self.can_drop(file, 0)? {
            self.remove_file(file)?;
        }
        Ok(())
    }

    /// Drops a file that shows nothing any more.
    pub(crate) fn remove_inode(&self, file: FileId) -> Result<()> {
        self.edit(
            |state| {
                known(state, file)?;
                Ok((need(1, 0, Reserve::All), ()))
            },
            |edit, ()| {
                edit.change.remove(&Key::inode(file))?;
                edit.files.remove(&file);
                edit.log(&Record::Remove { file });
                Ok(())
            },
        )
    }

    /// The generation that changes go into now.
    pub fn generation(&self) -> Generation {
        self.state.read().tree.generation()
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let bytes_max = self.name_bytes_max();
        if name.is_empty() || name.len() > bytes_max {
            return Err(EngineError::Invalid(format!(
                "a name of {} bytes: 1 to {bytes_max} would do",
                name.len()
            )));
        }
        Ok(())
    }
}

/// The inode of a file that has a name.
fn named(state: &State, file: FileId) -> Result<Inode> {
    let inode = known(state, file)?;
    if inode.orphan {
        return Err(EngineError::Removed);
    }
    Ok(inode.clone())
}

/// The inode of a file that is still there.
pub(super) fn known(state: &State, file: FileId) -> Result<&Inode> {
    state.files.get(&file).ok_or(EngineError::Removed)
}

fn need(items: u64, inserts: u64, reserve: Reserve) -> Need {
    Need {
        items,
        inserts,
        reserve,
    }
}
