// SPDX-License-Identifier: Apache-2.0
//! System calls that nginx has no functions for, as the module makes them: a build for tests can make any call fail.
//!
//! What only Linux has fails elsewhere.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::slice;
use std::thread::{self, JoinHandle};

use libc::{c_int, c_short, off_t};

/// Makes a call, unless a test wants it to fail.
fn attempt<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(feature = "fault-injection")]
    if super::fault::SYSTEM.ends() {
        return Err(io::Error::from_raw_os_error(libc::EIO));
    }
    call()
}

/// The result of a call that returns -1 if it fails.
fn check(returned: c_int) -> io::Result<c_int> {
    if returned == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}

#[cfg(not(target_os = "linux"))]
fn not_here<T>() -> io::Result<T> {
    Err(ErrorKind::Unsupported.into())
}

/// A file in memory, which has no name. It is empty.
#[cfg(target_os = "linux")]
pub fn memory_file() -> io::Result<OwnedFd> {
    // SAFETY: the name is a string, and the descriptor that is returned belongs to nobody else.
    attempt(|| unsafe { Ok(OwnedFd::from_raw_fd(check(libc::memfd_create(c"cors".as_ptr(), libc::MFD_CLOEXEC))?)) })
}

#[cfg(not(target_os = "linux"))]
pub fn memory_file() -> io::Result<OwnedFd> {
    not_here()
}

/// Sets the size of a file.
pub fn set_size(file: &OwnedFd, size: usize) -> io::Result<()> {
    let size = off_t::try_from(size).map_err(|_| ErrorKind::InvalidInput)?;
    // SAFETY: it takes numbers alone.
    attempt(|| unsafe { check(libc::ftruncate(file.as_raw_fd(), size)) }).map(drop)
}

/// Takes memory for a part of a file in memory, so that writing there cannot fail.
#[cfg(target_os = "linux")]
pub fn take_memory(file: &OwnedFd, start: usize, len: usize) -> io::Result<()> {
    fallocate(file, 0, start, len)
}

#[cfg(not(target_os = "linux"))]
pub fn take_memory(_: &OwnedFd, _: usize, _: usize) -> io::Result<()> {
    not_here()
}

/// Returns the memory of a part of a file in memory. It reads as zeros then.
#[cfg(target_os = "linux")]
pub fn return_memory(file: &OwnedFd, start: usize, len: usize) -> io::Result<()> {
    fallocate(file, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, start, len)
}

#[cfg(not(target_os = "linux"))]
pub fn return_memory(_: &OwnedFd, _: usize, _: usize) -> io::Result<()> {
    not_here()
}

#[cfg(target_os = "linux")]
fn fallocate(file: &OwnedFd, mode: c_int, start: usize, len: usize) -> io::Result<()> {
    let number = |number| off_t::try_from(number).map_err(|_| io::Error::from(ErrorKind::InvalidInput));
    let (start, len) = (number(start)?, number(len)?);
    loop {
        // SAFETY: it takes numbers alone.
        match attempt(|| unsafe { check(libc::fallocate(file.as_raw_fd(), mode, start, len)) }) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// Maps a file, for this process and those that it forks.
pub fn map(file: &OwnedFd, size: usize) -> io::Result<NonNull<u8>> {
    map_as(libc::MAP_SHARED, file.as_raw_fd(), size)
}

fn map_as(flags: c_int, file: c_int, size: usize) -> io::Result<NonNull<u8>> {
    attempt(|| {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the system chooses a place where nothing is.
        let at = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, file, 0) };
        match NonNull::new(at) {
            Some(at) if at.as_ptr() != libc::MAP_FAILED => Ok(at.cast()),
            _ => Err(io::Error::last_os_error()),
        }
    })
}

/// # Safety
/// [`map`] has returned it for that size, and nobody uses it any more.
pub unsafe fn unmap(at: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(at.as_ptr().cast(), size) };
}

fn range(kind: c_int, byte: usize) -> libc::flock {
    // SAFETY: it consists of numbers.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    // Both have few values, and a region few bytes that are locked.
    range.l_type = kind as c_short;
    range.l_whence = libc::SEEK_SET as c_short;
    range.l_start = byte as off_t;
    range.l_len = 1;
    range
}

/// Locks a byte of a file for this process, which keeps the lock until it dies; returns whether no other process has it.
pub fn lock(file: &OwnedFd, byte: usize) -> io::Result<bool> {
    // SAFETY: it reads the structure alone.
    match attempt(|| unsafe { check(libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &range(libc::F_WRLCK, byte))) }) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Releases a byte.
pub fn unlock(file: &OwnedFd, byte: usize) {
    // SAFETY: it reads the structure alone.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &range(libc::F_UNLCK, byte)) };
}

/// Whether another process has locked a byte.
pub fn is_locked(file: &OwnedFd, byte: usize) -> io::Result<bool> {
    let mut range = range(libc::F_WRLCK, byte);
    // SAFETY: it writes to the structure alone.
    attempt(|| unsafe { check(libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut range)) })?;
    Ok(range.l_type != libc::F_UNLCK as c_short)
}

/// What is known of a file, or of the one that a symbolic link leads to.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    #[cfg(feature = "fault-injection")]
    super::fault::hang(path);
    attempt(|| path.metadata())
}

/// Where a path leads, without symbolic links.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    attempt(|| path.canonicalize())
}

/// Opens a file to be read. A FIFO does not wait for a writer.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = attempt(|| OpenOptions::new().read(true).custom_flags(flags).open(path))?;
    let metadata = attempt(|| file.metadata())?;
    Ok((file, metadata))
}

/// The contents of a file, in memory that the system gets back when they are dropped. `malloc` may keep what it has had, and would with large
/// files.
pub struct Contents {
    at: NonNull<u8>,
    size: usize,
    len: usize,
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `read` has written that many bytes.
        unsafe { slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // SAFETY: `read` has mapped it.
        unsafe { unmap(self.at, self.size) };
    }
}

/// Reads a file of `size` bytes, and one more if it has grown.
pub fn read(mut file: &File, size: usize) -> io::Result<Contents> {
    let size = size + 1;
    let at = map_as(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, size)?;
    let mut contents = Contents { at, size, len: 0 };
    // SAFETY: it has been mapped, is all zero, and nobody else uses it.
    let memory = unsafe { slice::from_raw_parts_mut(at.as_ptr(), size) };
    attempt(|| loop {
        match file.read(&mut memory[contents.len..]) {
            Ok(0) => return Ok(()),
            Ok(count) => contents.len += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    })?;
    Ok(contents)
}

/// Whether a process has the file open for writing; `None` if the system does not say. On local file systems, the owner of the file
/// and privileged processes learn it by asking for a lease.
#[cfg(target_os = "linux")]
pub fn is_open_for_writing(file: &File) -> Option<bool> {
    #[cfg(feature = "fault-injection")]
    if super::fault::no_leases() {
        return None;
    }
    // Not in the crate. <https://man7.org/linux/man-pages/man2/F_GETSIG.2const.html>
    const F_SETSIG: c_int = 10;
    // SAFETY: it takes numbers alone.
    let set = |command, value: c_int| attempt(|| unsafe { check(libc::fcntl(file.as_raw_fd(), command, value)) });
    // Somebody who opens the file meanwhile waits until the lease ends, and this process gets a signal. By default it is SIGIO, which would
    // end nginx; SIGURG is ignored.
    let lease = set(F_SETSIG, libc::SIGURG).and_then(|_| set(libc::F_SETLEASE, libc::F_RDLCK));
    if lease.is_ok() {
        // SAFETY: as above. The lease also ends with the file.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
    }
    match lease {
        Ok(_) => Some(false),
        Err(error) => (error.kind() == ErrorKind::WouldBlock).then_some(true),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn is_open_for_writing(_: &File) -> Option<bool> {
    None
}

/// Whether this process has the rights of a file's owner.
pub fn is_owner(user: u32) -> bool {
    // SAFETY: it takes nothing, and cannot fail.
    let own = unsafe { libc::geteuid() };
    own == 0 || own == user
}

/// Where the system reports what happens to files; reading does not wait.
#[cfg(target_os = "linux")]
pub fn notices() -> io::Result<OwnedFd> {
    let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
    // SAFETY: the descriptor that is returned belongs to nobody else.
    attempt(|| unsafe { Ok(OwnedFd::from_raw_fd(check(libc::inotify_init1(flags))?)) })
}

#[cfg(not(target_os = "linux"))]
pub fn notices() -> io::Result<OwnedFd> {
    not_here()
}

/// Asks for reports about a file or a directory. Returns the number that they have.
#[cfg(target_os = "linux")]
pub fn add_notice(notices: &OwnedFd, path: &Path, events: u32) -> io::Result<c_int> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string.
    attempt(|| unsafe { check(libc::inotify_add_watch(notices.as_raw_fd(), path.as_ptr(), events)) })
}

#[cfg(not(target_os = "linux"))]
pub fn add_notice(_: &OwnedFd, _: &Path, _: u32) -> io::Result<c_int> {
    not_here()
}

/// Ends the reports with a number.
#[cfg(target_os = "linux")]
pub fn remove_notice(notices: &OwnedFd, number: c_int) {
    // SAFETY: it takes numbers alone.
    unsafe { libc::inotify_rm_watch(notices.as_raw_fd(), number) };
}

#[cfg(not(target_os = "linux"))]
pub fn remove_notice(_: &OwnedFd, _: c_int) {}

/// Reads from a descriptor; 0 bytes if there is nothing.
pub fn read_some(from: &OwnedFd, buffer: &mut [u8]) -> usize {
    // SAFETY: the buffer has that size.
    let read = attempt(|| unsafe {
        let read = libc::read(from.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len());
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    });
    read.unwrap_or(0)
}

/// Starts a thread, in which no signal is handled: nginx expects them in its own.
pub fn start_thread(run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    #[cfg(feature = "fault-injection")]
    if super::fault::no_threads() {
        return Err(ErrorKind::WouldBlock.into());
    }
    keep_library();
    // SAFETY: the sets are this function's, and the mask of the thread becomes what it was.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let thread = attempt(|| thread::Builder::new().name("cors".to_owned()).spawn(run));
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        thread
    }
}

/// Keeps this library in memory until the process ends: nginx closes it at the end of a process, where a thread may wait for a
/// file system that does not answer.
fn keep_library() {
    // SAFETY: the address is one of this library, whose name the system keeps. Opening it once more only counts.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(keep_library as *const libc::c_void, &mut found) != 0 && !found.dli_fname.is_null() {
            libc::dlopen(found.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// Lowers the priority of this thread for good: beside another thread it gets about a tenth of a processor, so it also finishes on a
/// machine that is never idle.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    // SAFETY: on Linux, 0 is this thread, and not its process.
    unsafe {
        let least = libc::getpriority(libc::PRIO_PROCESS, 0).max(10);
        libc::setpriority(libc::PRIO_PROCESS, 0, least);
    }
}
