//! Writing a recording of our own: requests in, blocks out, one block in memory.

use std::collections::HashMap;
use std::io::{self, Write};

use super::block::{Chain, put_name};
use super::layout::{
    BLOCK_HEADER_BYTES, BlockHeader, BlockKind, ITEMS_MAX, PLAIN_BYTES_MAX, TraceHeader, Trailer,
    encode_header,
};
use crate::trace::notes::NAME_BYTES_MAX;
use crate::trace::request::{Place, Request, RequestKind};

/// zstd's level: three quarters of the size of level 1 at half of its speed, which is faster than any source is read.
const LEVEL: i32 = 3;
/// Entries of the index; where there would be more, every second one goes.
const INDEX_MAX: usize = 1 << 16;
/// Names wait for the operations that use them until there is so much of them.
const NAMES_BYTES: usize = 1 << 20;

const _: () = assert!(NAMES_BYTES + NAME_BYTES_MAX + 20 <= PLAIN_BYTES_MAX as usize);
const _: () = assert!(INDEX_MAX * 24 <= PLAIN_BYTES_MAX as usize);

/// A file that is being written.
pub(crate) struct OwnWriter<W> {
    out: W,
    written: u64,
    packer: zstd::bulk::Compressor<'static>,
    numbers: HashMap<Place, u64>,
    number_count: u64,
    names: Vec<u8>,
    name_count: u32,
    plain: Vec<u8>,
    items: u32,
    chain: Chain,
    /// Of the block that is being filled.
    first_op: u64,
    block_clock_ns: u64,
    clock_ns: u64,
    ops: u64,
    /// Offset, first operation and clock of blocks.
    index: Vec<[u64; 3]>,
    /// One block in so many is in the index.
    stride: u64,
    blocks: u64,
}

impl<W: Write> OwnWriter<W> {
    pub(crate) fn new(mut out: W, header: &TraceHeader) -> io::Result<Self> {
        let head = encode_header(header);
        out.write_all(&head)?;
        Ok(Self {
            out,
            written: head.len() as u64,
            packer: zstd::bulk::Compressor::new(LEVEL)?,
            numbers: HashMap::new(),
            number_count: 0,
            names: Vec::new(),
            name_count: 0,
            plain: Vec::new(),
            items: 0,
            chain: Chain::from(0),
            first_op: 0,
            block_clock_ns: 0,
            clock_ns: 0,
            ops: 0,
            index: Vec::new(),
            stride: 1,
            blocks: 0,
        })
    }

    /// What a place is called. It is told no later than with the next request, and perhaps a block earlier.
    pub(crate) fn name(&mut self, place: Place, name: &str) -> io::Result<()> {
        let place = self.numbered(place)?;
        put_name(&mut self.names, place, name);
        self.name_count += 1;
        if self.names.len() >= NAMES_BYTES || self.name_count == ITEMS_MAX {
            self.flush_names()?;
        }
        Ok(())
    }

    /// The next request.
    pub(crate) fn push(&mut self, request: &Request) -> io::Result<()> {
        let place = match request.kind {
            // Of everything.
            RequestKind::Flush => Place::File(0),
            _ => self.numbered(request.place)?,
        };
        if self.items == 0 {
            self.first_op = self.ops;
            self.block_clock_ns = self.clock_ns;
            self.chain = Chain::from(self.clock_ns);
        }
        self.chain
            .put(&Request { place, ..*request }, &mut self.plain);
        self.items += 1;
        self.ops += 1;
        self.clock_ns = self.clock_ns.max(request.at_ns);
        if request.kind == RequestKind::Remove {
            // What has its name next is another file.
            self.numbers.remove(&request.place);
        }
        if self.items == ITEMS_MAX {
            self.flush_operations()?;
        }
        Ok(())
    }

    /// Writes what is left, the index and the trailer; how many operations there are.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64)> {
        self.flush_operations()?;
        let trailer = Trailer {
            index_offset: self.written,
            ops: self.ops,
            clock_ns: self.clock_ns,
        };
        let entries: Vec<u8> = self
            .index
            .iter()
            .flatten()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let header = BlockHeader {
            kind: BlockKind::Index,
            items: count(self.index.len()),
            plain_bytes: 0,
            packed_bytes: 0,
            first_op: self.ops,
            clock_ns: self.clock_ns,
        };
        self.block(header, &entries)?;
        self.out.write_all(&trailer.encode())?;
        self.out.flush()?;
        Ok((self.out, self.ops))
    }

    /// A place by its number, the next one where it has none.
    fn numbered(&mut self, place: Place) -> io::Result<Place> {
        let number = match self.numbers.get(&place) {
            Some(number) => *number,
            None if self.number_count > u64::from(u32::MAX) => {
                return Err(io::Error::other("more than 2^32 files"));
            }
            None => {
                self.numbers.insert(place, self.number_count);
                self.number_count += 1;
                self.number_count - 1
            }
        };
        Ok(match place {
            Place::Device(_) => Place::Device(number),
            Place::File(_) => Place::File(number),
        })
    }

    fn flush_names(&mut self) -> io::Result<()> {
        if self.name_count == 0 {
            return Ok(());
        }
        let header = BlockHeader {
            kind: BlockKind::Names,
            items: std::mem::take(&mut self.name_count),
            plain_bytes: 0,
            packed_bytes: 0,
            first_op: self.ops - u64::from(self.items),
            clock_ns: self.clock_ns,
        };
        let mut names = std::mem::take(&mut self.names);
        self.block(header, &names)?;
        names.clear();
        self.names = names;
        Ok(())
    }

    fn flush_operations(&mut self) -> io::Result<()> {
        self.flush_names()?;
        if self.items == 0 {
            return Ok(());
        }
        if self.blocks.is_multiple_of(self.stride) {
            if self.index.len() == INDEX_MAX {
                let mut nth = 0;
                self.index.retain(|_| {
                    nth += 1;
                    nth % 2 == 1
                });
                self.stride *= 2;
            }
            if self.blocks.is_multiple_of(self.stride) {
                self.index
                    .push([self.written, self.first_op, self.block_clock_ns]);
            }
        }
        self.blocks += 1;
        let header = BlockHeader {
            kind: BlockKind::Operations,
            items: std::mem::take(&mut self.items),
            plain_bytes: 0,
            packed_bytes: 0,
            first_op: self.first_op,
            clock_ns: self.block_clock_ns,
        };
        let mut plain = std::mem::take(&mut self.plain);
        self.block(header, &plain)?;
        plain.clear();
        self.plain = plain;
        Ok(())
    }

    fn block(&mut self, header: BlockHeader, plain: &[u8]) -> io::Result<()> {
        let packed = self.packer.compress(plain)?;
        let header = BlockHeader {
            plain_bytes: count(plain.len()),
            packed_bytes: count(packed.len()),
            ..header
        };
        self.out.write_all(&header.encode(&packed))?;
        self.out.write_all(&packed)?;
        self.written += (BLOCK_HEADER_BYTES + packed.len()) as u64;
        Ok(())
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("blocks are bounded")
}
