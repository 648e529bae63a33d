// SPDX-License-Identifier: Apache-2.0
//! A configuration as nginx reads it (<https://nginx.org/en/docs/dev/development_guide.html#http_conf>).

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;

use ngx::ffi::{
    ngx_conf_t, ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module,
    ngx_http_core_srv_conf_t, ngx_http_location_queue_t, ngx_http_module, ngx_http_server_name_t, ngx_module_t,
    ngx_queue_t, ngx_str_t, NGX_ALIGNMENT,
};
use ngx::http::{HttpModule, HttpModuleLocationConf, HttpModuleMainConf, NgxHttpCoreModule};

use super::barrier::guard;
use super::chain::Function;
use super::fallible::{ngx_conf_full_name, ngx_pool_cleanup_add};
use super::layout::{EXACT_MATCH, NOREGEX};
use super::log::Log;
use super::strings;

/// The configuration that nginx is reading.
pub struct Configuration<'c>(&'c mut ngx_conf_t);

impl<'c> Configuration<'c> {
    /// # Safety
    /// `cf` is what nginx has called an entry point with, and the value is not used after the call.
    pub unsafe fn from_ptr(cf: *mut ngx_conf_t) -> Configuration<'c> {
        // SAFETY: the caller's promise.
        Configuration(unsafe { &mut *cf })
    }

    pub(super) fn as_ptr(&mut self) -> *mut ngx_conf_t {
        self.0
    }

    pub(super) fn fields(&self) -> &ngx_conf_t {
        self.0
    }

    /// Where messages about the configuration go.
    pub fn log(&self) -> Log {
        // SAFETY: a configuration has a log for as long as it is read.
        unsafe { Log::from_ptr(self.0.log) }
    }

    /// The file and the line that nginx is reading; the file is `None` for the command line's `-g`.
    pub fn place(&self) -> (Option<&[u8]>, usize) {
        // SAFETY: nginx keeps null there, or the file that it is reading.
        match unsafe { self.0.conf_file.as_ref() } {
            Some(file) => (Some(file.file.name.as_bytes()), file.line),
            None => (None, 0),
        }
    }

    /// The main configuration file, and the directory that names of included files are relative to.
    pub fn files(&self) -> (&[u8], &[u8]) {
        // SAFETY: a configuration belongs to a cycle, which has both.
        let cycle = unsafe { &*self.0.cycle };
        (cycle.conf_file.as_bytes(), cycle.conf_prefix.as_bytes())
    }

    /// A path, which may be relative to the directory of the main configuration file; `None` if memory runs out.
    pub fn full_name(&self, path: &[u8]) -> Option<&'c [u8]> {
        let mut name = strings::string(path);
        // SAFETY: nginx puts a path that begins with the directory, and ends in a zero byte, into the cycle's memory.
        match unsafe { ngx_conf_full_name(self.0.cycle, &mut name, 1) } {
            // SAFETY: see above, or it is the argument.
            0 => Some(unsafe { std::slice::from_raw_parts(name.data, name.len) }),
            _ => None,
        }
    }

    /// The arguments of the directive that is being read. They live until it has been read.
    pub fn arguments(&self) -> &'c [ngx_str_t] {
        // SAFETY: nginx has put the directive's name and its arguments there.
        let all: &[ngx_str_t] = unsafe { (*self.0.args).as_slice() };
        all.get(1..).unwrap_or_default()
    }

    /// The module's configuration of the whole `http` block. The caller must not ask for it again while it has it.
    pub fn main_mut<M: HttpModuleMainConf<MainConf = M> + 'static>(&self) -> Option<&'c mut M> {
        M::main_conf_mut(self.0)
    }

    /// Keeps `value` for as long as the configuration lives, and so for as long as anything that refers to it; `None` if memory
    /// runs out.
    pub fn keep<T>(&self, value: T) -> Option<&'static T> {
        // SAFETY: nginx frees what is allocated with all of the configuration.
        unsafe { self.allocate(value).cast::<T>().as_ref() }
    }

    /// Puts `value` into the configuration's memory, and drops it with that; null if memory runs out.
    pub fn allocate<T>(&self, value: T) -> *mut c_void {
        const { assert!(align_of::<T>() <= NGX_ALIGNMENT) };
        // SAFETY: a configuration has a pool.
        let Some(cleanup) = (unsafe { ngx_pool_cleanup_add(self.0.pool, size_of::<T>()).as_mut() }) else {
            return ptr::null_mut();
        };
        // SAFETY: nginx has put memory of that size there.
        unsafe { cleanup.data.cast::<T>().write(value) };
        cleanup.handler = Some(drop_value::<T>);
        cleanup.data
    }

    /// Calls `visit` for each level (`http`, `server`, `location`) with the module's configuration of the level above and its
    /// own, from the top down. It is meant for `init_main_conf`, when all directives have been read.
    pub fn each_level<L: HttpModuleLocationConf<LocationConf = L> + 'static>(
        &self,
        mut visit: impl FnMut(Option<&L>, &mut L, Level<'_>),
    ) {
        let ours = <L as HttpModule>::module().ctx_index;
        let Some(http) = L::location_conf_mut(self.0) else { return };
        visit(None, http, Level { server: None, core: None });
        let Some(core) = NgxHttpCoreModule::main_conf(self.0) else { return };
        // SAFETY: nginx has made an element for each server.
        for &server in unsafe { core.servers.as_slice::<*mut ngx_http_core_srv_conf_t>() } {
            // SAFETY: a server has a context, with a configuration of each module.
            unsafe {
                let loc_conf = (*(*server).ctx.cast::<ngx_http_conf_ctx_t>()).loc_conf;
                let names = (*server).server_names.as_slice::<ngx_http_server_name_t>();
                let name = names.first().map_or(&b""[..], |first| strings::slice(&first.name));
                each_location(loc_conf, Some(http), ours, name, &mut visit);
            }
        }
    }
}

/// A level of the configuration.
pub struct Level<'c> {
    /// The first name of the server, empty if it has none; `None` for `http`.
    pub server: Option<&'c [u8]>,
    core: Option<&'c mut ngx_http_core_loc_conf_t>,
}

impl Level<'_> {
    /// The name of a location and what is before it, as in the configuration; except that `~` is there for `~*` as well. Empty for a
    /// server.
    pub fn location(&self) -> (&'static str, &[u8]) {
        let Some(core) = &self.core else { return ("", b"") };
        let modifier = match () {
            () if EXACT_MATCH.is_set(core) => "= ",
            () if NOREGEX.is_set(core) => "^~ ",
            // Without PCRE, nginx has none of these.
            #[cfg(ngx_feature = "pcre")]
            () if !core.regex.is_null() => "~ ",
            () => "",
        };
        (modifier, core.name.as_bytes())
    }

    /// Lets `handler` make the responses of a location.
    pub fn set_content_handler(&mut self, handler: Function) {
        if let Some(core) = &mut self.core {
            core.handler = Some(handler);
        }
    }
}

/// An HTTP module for which nothing is kept, and that nginx does not count. One that it counts costs each request and each
/// location a pointer.
#[repr(transparent)]
pub struct Uncounted(UnsafeCell<ngx_module_t>);

// SAFETY: nginx reads its configuration in one thread.
unsafe impl Sync for Uncounted {}

impl Uncounted {
    /// A module that has a context, and no type yet.
    pub const fn new(module: ngx_module_t) -> Uncounted {
        Uncounted(UnsafeCell::new(ngx_module_t { type_: 0, ..module }))
    }

    /// Where nginx finds it.
    pub const fn as_ptr(&self) -> *const ngx_module_t {
        self.0.get()
    }

    /// Makes it one of the HTTP modules, whose `postconfiguration` nginx calls, when it has counted them. It shares the index of `other`.
    pub fn join(&self, other: &ngx_module_t) {
        // SAFETY: nobody has a reference to it, and nginx is not looking at it.
        let module = unsafe { &mut *self.0.get() };
        (module.type_, module.ctx_index) = (other.type_, other.ctx_index);
    }
}

/// The module's configuration of the whole `http` block that a cycle has, if there is one.
///
/// # Safety
/// `cycle` is one whose configuration has been read.
pub unsafe fn main_conf_of<'c, M: HttpModuleMainConf<MainConf = M> + 'static>(
    cycle: *mut ngx_cycle_t,
) -> Option<&'c M> {
    // SAFETY: the cycle has a pointer for each module, null or what that has made.
    unsafe {
        let http = *(*cycle).conf_ctx.add((*ptr::addr_of!(ngx_http_module)).index);
        let main_conf = http.cast::<ngx_http_conf_ctx_t>().as_ref()?.main_conf;
        (*main_conf.add(M::module().ctx_index)).cast::<M>().as_ref()
    }
}

/// # Safety
/// `loc_conf` has a configuration of each module for one level; that of the module with index `ours` is an `L`.
unsafe fn each_location<L>(
    loc_conf: *mut *mut c_void,
    above: Option<&L>,
    ours: usize,
    server: &[u8],
    visit: &mut impl FnMut(Option<&L>, &mut L, Level<'_>),
) {
    // SAFETY: the caller's promise; nginx keeps the locations of a level in a queue until it has called `init_main_conf`, and
    // the queue is the first field of its elements (`ngx_http_merge_locations`).
    unsafe {
        let own = &mut *(*loc_conf.add(ours)).cast::<L>();
        let core = (*loc_conf.add((*ptr::addr_of!(ngx_http_core_module)).ctx_index)).cast::<ngx_http_core_loc_conf_t>();
        visit(above, own, Level { server: Some(server), core: Some(&mut *core) });
        let head: *mut ngx_queue_t = (*core).locations;
        if head.is_null() {
            return;
        }
        let mut at = (*head).next;
        while at != head {
            let location = at.cast::<ngx_http_location_queue_t>();
            let exact = (*location).exact;
            let inner = if exact.is_null() { (*location).inclusive } else { exact };
            at = (*at).next;
            // In Angie, locations that are written as one are a chain, and share their configuration.
            #[cfg(angie)]
            if !(*inner).next.is_null() {
                continue;
            }
            #[cfg(angie)]
            let inner = (*inner).conf;
            each_location((*inner).loc_conf, Some(own), ours, server, visit);
        }
    }
}

unsafe extern "C" fn drop_value<T>(data: *mut c_void) {
    // SAFETY: `allocate` has put the value there, and nginx calls this once.
    guard(Log::of_cycle, (), || unsafe { ptr::drop_in_place(data.cast::<T>()) });
}
