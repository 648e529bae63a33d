// SPDX-License-Identifier: Apache-2.0
//! Memory that all workers share, and whose contents are replaced as a whole while the workers use them.
//!
//! A region is mapped when a configuration is read, so that every worker inherits it. It has two halves. One contains what is in
//! force; the other is empty, or is being written. The number of the *generation* says which: each new contents have the next number,
//! and even and odd ones are in different halves.
//!
//! - **Readers.** Each worker is a [`Reader`]. In a turn of its event loop it takes note of a new generation and says so
//!   (*acknowledges*). It never looks at the old half after that.
//! - **The writer.** One process at a time is the [`Writer`]. It does not touch the old half before all readers have acknowledged.
//!   A reader that is stuck therefore delays the next change, and what it reads stays as it is.
//! - **Death.** Each reader, and the writer, has locked a byte of the region's file. The kernel releases the locks of a process that
//!   dies, and never gives them to another one that happens to have the same number. A writer that has died leaves at worst a half that is
//!   not in force.
//!
//! The memory of a half that is not used is returned to the system. What nobody has written takes none, so that both halves can be
//! large.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::system;

/// The size of a half.
pub const HALF: usize = 1 << 30;
/// The size of what is before the halves.
const HEADER: usize = 1 << 16;
const SIZE: usize = HEADER + 2 * HALF;

/// The words of the header.
const GENERATION: usize = 0;
/// The generation whose predecessor has been released.
const RELEASED: usize = 1;
/// Whether a reader could not lock its byte, so that nobody would know whether it is alive.
const FROZEN: usize = 2;
/// How many readers there have been at the same time.
const USED: usize = 3;
/// For each half, how many words and bytes it contains.
const WORDS: usize = 4;
const BYTES: usize = 6;
/// What the owner notes.
const NOTES: usize = 8;
const NOTES_END: usize = 64;
/// What each reader has acknowledged. There are more than nginx starts processes.
const READERS: usize = 1100;

/// The byte that the writer locks; that of a reader has its number after this one.
const WRITER: usize = 0;

/// See above.
pub struct Region {
    memory: NonNull<u8>,
    file: OwnedFd,
}

// SAFETY: threads use the header by atomic operations alone, and the halves as readers and the writer do.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `new` has mapped it, and whoever used it has had a reference.
        unsafe { system::unmap(self.memory, SIZE) };
    }
}

impl Region {
    /// A region without contents.
    pub fn new() -> io::Result<Arc<Region>> {
        const { assert!((NOTES_END + READERS) * 8 <= HEADER) };
        let file = system::memory_file()?;
        system::set_size(&file, SIZE)?;
        let memory = system::map(&file, SIZE)?;
        Ok(Arc::new(Region { memory, file }))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at * 8 < HEADER, "the header has so many words");
        // SAFETY: it is in the header, which lives as long as the region and is used by atomic operations alone.
        unsafe { self.memory.cast::<AtomicU64>().add(at).as_ref() }
    }

    /// A word that the owner uses for itself. It is 0 at first.
    pub fn note(&self, at: usize) -> &AtomicU64 {
        assert!(at < NOTES_END - NOTES, "there are so many notes");
        self.word(NOTES + at)
    }

    fn generation(&self) -> u64 {
        self.word(GENERATION).load(Ordering::SeqCst)
    }

    /// Where the half of a generation begins.
    fn start(generation: u64) -> usize {
        HEADER + (generation % 2) as usize * HALF
    }

    /// The words and bytes of a generation. The lifetime is longer than it is: see [`Reader::follow`].
    fn contents(&self, generation: u64) -> (&'static [u64], &'static [u8]) {
        let half = (generation % 2) as usize;
        let [words, bytes] = [WORDS, BYTES].map(|at| self.word(at + half).load(Ordering::Relaxed) as usize);
        if words.checked_mul(8).and_then(|size| size.checked_add(bytes)).is_none_or(|size| size > HALF) {
            return (&[], &[]);
        }
        // SAFETY: both are within the half, where the writer has put them before the generation was in force.
        unsafe {
            let start = self.memory.add(Region::start(generation));
            let words = slice::from_raw_parts(start.cast::<u64>().as_ptr(), words);
            (words, slice::from_raw_parts(start.add(size_of_val(words)).as_ptr(), bytes))
        }
    }

    /// Makes this process the writer, if none is. No other thread of the process may ask meanwhile.
    pub fn try_write(self: &Arc<Self>) -> io::Result<Option<Writer>> {
        let is_free = system::lock(&self.file, WRITER)?;
        Ok(is_free.then(|| Writer { region: self.clone(), own: None }))
    }

    /// Makes this process a reader.
    pub fn reader(self: &Arc<Self>) -> io::Result<Reader> {
        for number in 0..READERS {
            match system::lock(&self.file, WRITER + 1 + number) {
                Ok(true) => {
                    // Before it looks which generation is in force: the writer puts one in force before it looks who reads.
                    self.word(USED).fetch_max(number as u64 + 1, Ordering::SeqCst);
                    return Ok(Reader { region: self.clone(), number, seen: 0 });
                }
                Ok(false) => {}
                Err(error) => {
                    self.freeze();
                    return Err(error);
                }
            }
        }
        self.freeze();
        Err(io::ErrorKind::OutOfMemory.into())
    }

    /// There is a process whose reading nobody knows of: from now on nothing is replaced.
    fn freeze(&self) {
        self.word(FROZEN).store(1, Ordering::SeqCst);
    }

    /// Takes a look at the contents as they are, for a process that is not a reader and has just frozen the region.
    pub fn frozen(&self, show: impl FnOnce(&'static [u64], &'static [u8])) {
        let (words, bytes) = self.contents(self.generation());
        show(words, bytes);
    }
}

/// A process that reads.
pub struct Reader {
    region: Arc<Region>,
    number: usize,
    seen: u64,
}

impl Reader {
    /// Hands out the contents if there are new ones. Whatever was handed out before must not be used any more when `replace` returns,
    /// and nothing when the region is dropped.
    pub fn follow(&mut self, replace: impl FnOnce(&'static [u64], &'static [u8])) {
        let generation = self.region.generation();
        if generation == self.seen {
            return;
        }
        let (words, bytes) = self.region.contents(generation);
        replace(words, bytes);
        self.seen = generation;
        self.region.word(NOTES_END + self.number).store(generation, Ordering::Release);
    }

    /// The number of this reader's byte; see [`Writer::set_own`].
    pub fn number(&self) -> usize {
        self.number
    }
}

/// The process that writes.
pub struct Writer {
    region: Arc<Region>,
    /// The number of the reader that is the same process.
    own: Option<usize>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        system::unlock(&self.region.file, WRITER);
    }
}

impl Writer {
    /// Says which reader is in this process: its lock is not another's.
    pub fn set_own(&mut self, number: usize) {
        self.own = Some(number);
    }

    /// Whether all readers use what is in force. If so, the memory of what was is returned, and [`Writer::replace`] may be
    /// called.
    pub fn is_settled(&mut self) -> bool {
        let region = &*self.region;
        let generation = region.generation();
        if region.word(RELEASED).load(Ordering::Relaxed) == generation {
            return true;
        }
        for number in 0..region.word(USED).load(Ordering::SeqCst) as usize {
            if region.word(NOTES_END + number).load(Ordering::Acquire) == generation {
                continue;
            }
            // A process that starts locks its byte before it looks which generation is in force.
            if self.own == Some(number) || system::is_locked(&region.file, WRITER + 1 + number).unwrap_or(true) {
                return false;
            }
        }
        // A process that nobody knows of may read the old half. It says so before it looks which generation is in force.
        if self.is_frozen() || system::return_memory(&region.file, Region::start(generation + 1), HALF).is_err() {
            return false;
        }
        region.word(RELEASED).store(generation, Ordering::Relaxed);
        true
    }

    /// Whether a reader has gone out of sight, so that nothing can be replaced.
    pub fn is_frozen(&self) -> bool {
        self.region.word(FROZEN).load(Ordering::SeqCst) != 0
    }

    /// Puts other contents in force, with so many words and bytes, which `write` writes. They are undefined before. `Err` if there is
    /// no memory.
    pub fn replace<R>(
        &mut self,
        words: usize,
        bytes: usize,
        write: impl FnOnce(&mut [u64], &mut [u8]) -> R,
    ) -> io::Result<R> {
        if !self.is_settled() || self.is_frozen() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let size = words.checked_mul(8).and_then(|size| size.checked_add(bytes)).filter(|size| *size <= HALF);
        let size = size.ok_or(io::ErrorKind::FileTooLarge)?;
        let region = &*self.region;
        let generation = region.generation() + 1;
        let start = Region::start(generation);
        // An earlier writer may have died here.
        system::return_memory(&region.file, start, HALF)?;
        system::take_memory(&region.file, start, size.max(1))?;
        // SAFETY: both are within the half, and do not overlap. No reader looks there, and there is one writer.
        let result = unsafe {
            let start = region.memory.add(start);
            let word_slice = slice::from_raw_parts_mut(start.cast::<u64>().as_ptr(), words);
            let byte_slice = slice::from_raw_parts_mut(start.add(words * 8).as_ptr(), bytes);
            write(word_slice, byte_slice)
        };
        let half = (generation % 2) as usize;
        region.word(WORDS + half).store(words as u64, Ordering::Relaxed);
        region.word(BYTES + half).store(bytes as u64, Ordering::Relaxed);
        region.word(GENERATION).store(generation, Ordering::SeqCst);
        Ok(result)
    }
}
