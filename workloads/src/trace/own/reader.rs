//! Reading a recording of our own: block by block, from the beginning or from a place that the index tells.

use std::io;

use super::block::{Chain, take_name};
use super::layout::{
    BLOCK_HEADER_BYTES, BlockHeader, BlockKind, PREAMBLE_BYTES, Refused, TRAILER_BYTES,
    TraceHeader, Trailer, decode_header, decode_preamble, long, matches,
};
use crate::trace::input::Input;
use crate::trace::notes::Notes;
use crate::trace::request::{Place, Request, RequestKind};

/// A file that is being read.
pub(crate) struct OwnReader {
    header: TraceHeader,
    /// Where the first block begins.
    begin: u64,
    /// Where the next block begins.
    offset: u64,
    unpacker: zstd::bulk::Decompressor<'static>,
    packed: Vec<u8>,
    plain: Vec<u8>,
    /// How far into `plain`.
    taken: usize,
    left: u32,
    chain: Chain,
    version: u16,
    /// Number of the next operation.
    next_op: u64,
    block_offset: u64,
    has_devices: bool,
    has_files: bool,
    is_over: bool,
}

impl OwnReader {
    /// Reads preamble and header.
    pub(crate) fn open(input: &mut Input) -> io::Result<Self> {
        let mut preamble = [0; PREAMBLE_BYTES];
        input.rest(&mut preamble).map_err(|_| Refused::Magic)?;
        let preamble = decode_preamble(&preamble)?;
        let len = preamble.header_bytes;
        let mut text = vec![0; len];
        input.rest(&mut text).map_err(|_| Refused::Header)?;
        Ok(Self {
            header: decode_header(&text, preamble.header_sum)?,
            begin: (PREAMBLE_BYTES + len) as u64,
            offset: (PREAMBLE_BYTES + len) as u64,
            unpacker: zstd::bulk::Decompressor::new()?,
            packed: Vec::new(),
            plain: Vec::new(),
            taken: 0,
            left: 0,
            chain: Chain::from(0).of_version(preamble.version),
            version: preamble.version,
            next_op: 0,
            block_offset: 0,
            has_devices: false,
            has_files: false,
            is_over: false,
        })
    }

    pub(crate) fn header(&self) -> &TraceHeader {
        &self.header
    }

    /// What its requests address, as far as it was read.
    pub(crate) fn dialect(&self) -> &'static str {
        match (self.has_devices, self.has_files) {
            (true, false) => "devices",
            (true, true) => "files on a device",
            (false, _) => "files",
        }
    }

    /// Number of the next operation, from 0.
    pub(crate) fn next_op(&self) -> u64 {
        self.next_op
    }

    /// The next request; none at the end, which the file has to say.
    pub(crate) fn next(
        &mut self,
        input: &mut Input,
        notes: &mut Notes,
    ) -> io::Result<Option<Request>> {
        while self.left == 0 {
            if self.is_over || !self.block(input, notes)? {
                return Ok(None);
            }
        }
        let mut bytes = &self.plain[self.taken..];
        let request = self
            .chain
            .take(&mut bytes)
            .ok_or(Refused::Block(self.block_offset))?;
        self.taken = self.plain.len() - bytes.len();
        self.left -= 1;
        if self.left == 0 && self.taken < self.plain.len() {
            return Err(Refused::Block(self.block_offset).into());
        }
        self.next_op += 1;
        match request.place {
            _ if request.kind == RequestKind::Flush => {}
            Place::Device(_) => self.has_devices = true,
            Place::File(_) => self.has_files = true,
        }
        Ok(Some(request))
    }

    /// Reads the next block; false where it was the last.
    fn block(&mut self, input: &mut Input, notes: &mut Notes) -> io::Result<bool> {
        self.block_offset = self.offset;
        let header = self.unpacked(input)?;
        let damaged = Refused::Block(self.block_offset);
        if header.first_op != self.next_op {
            return Err(damaged.into());
        }
        match header.kind {
            BlockKind::Operations => {
                if header.items == 0 {
                    return Err(damaged.into());
                }
                (self.left, self.taken) = (header.items, 0);
                self.chain = Chain::from(header.clock_ns).of_version(self.version);
            }
            BlockKind::Names => {
                let mut bytes = &self.plain[..];
                for _ in 0..header.items {
                    let (place, name) =
                        take_name(&mut bytes).ok_or(Refused::Block(self.block_offset))?;
                    notes.named(place, name);
                }
                if !bytes.is_empty() {
                    return Err(damaged.into());
                }
            }
            BlockKind::Index => {
                let mut trailer = [0; TRAILER_BYTES];
                input.rest(&mut trailer).map_err(|_| Refused::NoEnd)?;
                let trailer = Trailer::decode(&trailer)?;
                if trailer.ops != self.next_op || trailer.index_offset != self.block_offset {
                    return Err(Refused::Index.into());
                }
                self.is_over = true;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a block's header and unpacks what it holds into `plain`.
    fn unpacked(&mut self, input: &mut Input) -> io::Result<BlockHeader> {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        input.rest(&mut bytes).map_err(|_| Refused::NoEnd)?;
        let header = BlockHeader::decode(&bytes).ok_or(Refused::Block(self.offset))?;
        self.packed.resize(size(header.packed_bytes), 0);
        input.rest(&mut self.packed).map_err(|_| Refused::NoEnd)?;
        if !matches(&bytes, &self.packed) {
            return Err(Refused::Block(self.offset).into());
        }
        self.plain.resize(size(header.plain_bytes), 0);
        let held = self
            .unpacker
            .decompress_to_buffer(&self.packed, &mut self.plain[..])
            .map_err(|_| Refused::Block(self.offset))?;
        if held != self.plain.len() {
            return Err(Refused::Block(self.offset).into());
        }
        self.offset += (BLOCK_HEADER_BYTES + self.packed.len()) as u64;
        Ok(header)
    }

    /// Goes from the beginning to the last indexed block before operation `op` and before time `at_ns`; the latest time before
    /// that block. Where the file cannot be sought in, it stays where it is.
    pub(crate) fn seek(&mut self, input: &mut Input, op: u64, at_ns: u64) -> io::Result<u64> {
        let Some(total) = input.total_bytes()? else {
            return Ok(0);
        };
        let Some(at) = total.checked_sub(TRAILER_BYTES as u64) else {
            return Err(Refused::NoEnd.into());
        };
        input.seek_to(at)?;
        let mut trailer = [0; TRAILER_BYTES];
        input.rest(&mut trailer)?;
        let trailer = Trailer::decode(&trailer)?;
        input.seek_to(trailer.index_offset)?;
        self.offset = trailer.index_offset;
        let header = self.unpacked(input)?;
        let entries = self.plain.chunks_exact(24);
        if header.kind != BlockKind::Index || entries.len() != size(header.items) {
            return Err(Refused::Index.into());
        }
        let is_before = |entry: &&[u8]| long(entry, 8) <= op && long(entry, 16) < at_ns;
        // Of an index that is not sorted any entry does: a block says itself where it is.
        let found = entries
            .filter(is_before)
            .max_by_key(|entry| long(entry, 8))
            .map(|entry| [0, 8, 16].map(|at| long(entry, at)));
        let [offset, first_op, clock_ns] = found.unwrap_or([self.begin, 0, 0]);
        self.plain.clear();
        input.seek_to(offset)?;
        (self.offset, self.next_op, self.left) = (offset, first_op, 0);
        Ok(clock_ns)
    }
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).expect("bounded when it was decoded")
}
