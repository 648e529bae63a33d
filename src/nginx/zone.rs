// SPDX-License-Identifier: Apache-2.0
//! Shared memory (<https://nginx.org/en/docs/dev/development_guide.html#shared_memory>), and a lock for what takes more than one atomic
//! operation.
//!
//! nginx keeps the memory of a zone across reloads if its name, its size and its owner are the same. If a process dies, its parent
//! releases the locks that it held (`ngx_unlock_mutexes`).

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{fence, AtomicU64, Ordering};

use ngx::ffi::{
    ngx_core_conf_t, ngx_core_module, ngx_cycle_t, ngx_int_t, ngx_pagesize, ngx_shm_zone_t, ngx_shmtx_lock,
    ngx_shmtx_t, ngx_shmtx_unlock, ngx_slab_pool_t, ngx_worker,
};
use ngx::http::HttpModule;

use super::barrier::guard;
use super::configuration::Configuration;
use super::fallible::{ngx_shared_memory_add, ngx_slab_alloc};
use super::log::Log;
use super::request::Code;
use super::strings::string;

/// The least size of a zone that nginx accepts, in pages.
const LEAST_PAGES: usize = 8;

/// The first words of the memory are this file's: its size, and whether a change has not ended. A line of the cache has eight.
const SIZE: usize = 0;
const CHANGING: usize = 1;
const OWN: usize = 8;

/// What a configuration does with shared memory.
pub trait Tenant: 'static {
    /// The memory is there, for a configuration that may still be refused: the running one may use the memory too. It is zeroed
    /// if it is new. `workers` is how many worker processes there will be.
    fn move_in(&'static self, zone: Zone, workers: usize, log: Log);
}

/// The memory of a zone. It exists for as long as the configuration.
#[derive(Clone, Copy)]
pub struct Zone {
    words: &'static [AtomicU64],
    changing: &'static AtomicU64,
    lock: NonNull<ngx_shmtx_t>,
}

struct Lease<T: 'static> {
    tenant: &'static T,
    cycle: *mut ngx_cycle_t,
}

/// The least size of a zone that nginx accepts, in bytes.
pub fn least_size() -> usize {
    // SAFETY: nginx sets it when it starts.
    LEAST_PAGES * unsafe { ngx_pagesize }
}

/// The number of this worker process.
pub fn worker() -> usize {
    // SAFETY: nginx sets it when the process starts.
    unsafe { ngx_worker }
}

/// Adds a zone to the configuration that is being read; `None` if that fails: nginx has logged why.
pub fn add<M: HttpModule, T: Tenant>(
    cf: &mut Configuration<'_>,
    name: &[u8],
    size: usize,
    tenant: &'static T,
) -> Option<()> {
    let lease = cf.allocate(Lease { tenant, cycle: cf.fields().cycle });
    let owner = ptr::from_ref(M::module()).cast_mut().cast();
    // SAFETY: nginx copies the name; it returns null or a zone of the configuration.
    let zone = unsafe { ngx_shared_memory_add(cf.as_ptr(), &mut string(name), size, owner).as_mut() }?;
    zone.init = Some(init::<T>);
    zone.data = NonNull::new(lease)?.as_ptr();
    Some(())
}

unsafe extern "C" fn init<T: Tenant>(zone: *mut ngx_shm_zone_t, old: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx calls it with a zone of `add`, whose memory is mapped and starts with a pool; `old` is not null if the memory was
    // used before.
    let (zone, lease) = unsafe { (&mut *zone, &*(*zone).data.cast::<Lease<T>>()) };
    // SAFETY: see above.
    let moved_in = guard(Log::of_cycle, Code::ERROR, || unsafe {
        let log = Log::from_ptr(zone.shm.log);
        let pool = zone.shm.addr.cast::<ngx_slab_pool_t>();
        if old.is_null() && zone.shm.exists == 0 && !divide(pool) {
            return Code::ERROR;
        }
        lease.tenant.move_in(Zone::of(pool), workers(lease.cycle), log);
        Code::OK
    });
    moved_in.0
}

/// Takes all of a pool's memory; returns whether that has succeeded.
///
/// # Safety
/// It is a pool that nothing has been taken from.
unsafe fn divide(pool: *mut ngx_slab_pool_t) -> bool {
    // SAFETY: the caller's promise; nginx returns null or so many bytes.
    unsafe {
        let size = (*pool).pfree * ngx_pagesize;
        let memory = ngx_slab_alloc(pool, size).cast::<u8>();
        if memory.is_null() {
            return false;
        }
        memory.write_bytes(0, size);
        memory.cast::<u64>().add(SIZE).write(size as u64);
        (*pool).data = memory.cast();
    }
    true
}

/// How many worker processes a configuration has.
///
/// # Safety
/// It is one whose directives have been read.
unsafe fn workers(cycle: *mut ngx_cycle_t) -> usize {
    // SAFETY: the core module has a configuration in each.
    let workers = unsafe {
        let index = (*ptr::addr_of!(ngx_core_module)).index;
        (*(*(*cycle).conf_ctx.add(index)).cast::<ngx_core_conf_t>()).worker_processes
    };
    usize::try_from(workers).unwrap_or(1)
}

impl Zone {
    /// # Safety
    /// It is a pool that `divide` was called with.
    unsafe fn of(pool: *mut ngx_slab_pool_t) -> Zone {
        // SAFETY: the memory has the size that its first word says, and lives as long as the configuration.
        unsafe {
            let words = (*pool).data.cast::<AtomicU64>();
            let size = (*words.add(SIZE)).load(Ordering::Relaxed) as usize;
            Zone {
                words: slice::from_raw_parts(words.add(OWN), size / 8 - OWN),
                changing: &*words.add(CHANGING),
                lock: NonNull::new_unchecked(ptr::addr_of_mut!((*pool).mutex)),
            }
        }
    }

    /// The memory, which other processes use as well.
    #[inline]
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// Calls `change` while no other process is in here; neither may be called again meanwhile. `repair` is called first if a
    /// process has not come to the end of `change`: it has died, or it panicked.
    pub fn change<R>(&self, repair: impl FnOnce(), change: impl FnOnce() -> R) -> R {
        /// Releases the lock, also if there is a panic.
        struct Held(NonNull<ngx_shmtx_t>);
        impl Drop for Held {
            fn drop(&mut self) {
                // SAFETY: this process holds the lock.
                unsafe { ngx_shmtx_unlock(self.0.as_ptr()) };
            }
        }
        // SAFETY: it is the lock of the zone's pool.
        unsafe { ngx_shmtx_lock(self.lock.as_ptr()) };
        let _held = Held(self.lock);
        if self.changing.load(Ordering::Acquire) != 0 {
            repair();
        }
        self.changing.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let result = change();
        self.changing.store(0, Ordering::Release);
        result
    }
}
