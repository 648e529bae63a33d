// SPDX-License-Identifier: Apache-2.0
//! ngx-http-cors: cross-origin resource sharing for nginx.
//!
//! This file is the module's table, the top floor. Below it are [`serve`], what happens to a request; [`conf`], how a level
//! of the configuration becomes a policy; [`nginx`], the wrappers; and the crate `cors-policy`, which decides and knows nothing
//! of nginx. A floor uses only those below it.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

mod conf;
mod nginx;
mod serve;

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ::ngx::core::NGX_CONF_ERROR;
use ::ngx::ffi::{
    ngx_conf_t, ngx_cycle_t, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_process, ngx_uint_t, NGX_HTTP_MODULE,
    NGX_PROCESS_HELPER,
};
use ::ngx::http::{HttpModule, HttpModuleLocationConf, HttpModuleMainConf};

use conf::{LocationConf, MainConf};
use nginx::barrier::{self, guard};
use nginx::configuration::{main_conf_of, Configuration, Uncounted};
use nginx::log::Log;
use nginx::request::{set_context_index, Code};
use nginx::zone::worker;
use serve::{filter, keep, phase, report, variables};

impl HttpModule for MainConf {
    fn module() -> &'static ngx_module_t {
        // SAFETY: nginx sets the indices when it loads the module, before anything is asked.
        unsafe { &*ptr::addr_of!(ngx_http_cors_module) }
    }
}

// SAFETY: `create_main_conf` makes one.
unsafe impl HttpModuleMainConf for MainConf {
    type MainConf = MainConf;
}

impl HttpModule for LocationConf {
    #[inline(always)]
    fn module() -> &'static ngx_module_t {
        <MainConf as HttpModule>::module()
    }
}

// SAFETY: `create_loc_conf` makes one.
unsafe impl HttpModuleLocationConf for LocationConf {
    type LocationConf = LocationConf;
}

/// Whether a configuration that this process has read has a zone.
static HAS_ZONE: AtomicBool = AtomicBool::new(false);

/// Whether this process serves requests.
static IS_WORKER: AtomicBool = AtomicBool::new(false);

static CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(create_main_conf),
    init_main_conf: Some(init_main_conf),
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(create_loc_conf),
    merge_loc_conf: None,
};

/// What the module's entries in nginx's list share.
const ENTRY: ngx_module_t = ngx_module_t {
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    // Angie loads modules that know its own version, and that are signed with the sum of these letters.
    #[cfg(angie)]
    version: ::ngx::ffi::angie_version as ngx_uint_t,
    #[cfg(angie)]
    spare1: b'A' as ngx_uint_t + b'n' as ngx_uint_t + b'g' as ngx_uint_t + b'i' as ngx_uint_t + b'e' as ngx_uint_t,
    ..ngx_module_t::default()
};

/// The module's entry.
#[no_mangle]
pub static mut ngx_http_cors_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(CONTEXT).cast_mut().cast(),
    commands: ptr::addr_of_mut!(conf::directives::COMMANDS).cast(),
    init_module: Some(init_module),
    init_process: Some(init_process),
    ..ENTRY
};

static FIRST_CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: None,
    postconfiguration: Some(postconfiguration_of_last),
    create_main_conf: None,
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: None,
    merge_loc_conf: None,
};

/// A second entry in nginx's list, behind all that are there. It has no directives: nginx builds its chains module by module,
/// so that the last is in front.
#[no_mangle]
pub static ngx_http_cors_first_module: Uncounted =
    Uncounted::new(ngx_module_t { ctx: ptr::addr_of!(FIRST_CONTEXT).cast_mut().cast(), ..ENTRY });

/// What nginx looks for in a library that it is told to load.
#[cfg(not(feature = "nginx-build"))]
#[no_mangle]
pub static mut ngx_modules: [*const ngx_module_t; 3] =
    [ptr::addr_of!(ngx_http_cors_module), ngx_http_cors_first_module.as_ptr(), ptr::null()];

/// Their names.
#[cfg(not(feature = "nginx-build"))]
#[no_mangle]
pub static mut ngx_module_names: [*const c_char; 3] =
    [c"ngx_http_cors_module".as_ptr(), c"ngx_http_cors_first_module".as_ptr(), ptr::null()];

/// The module's position in the filter chain: listed before the headers filter, so it runs after `add_header` has been
/// applied. The second module is not in the list, and so behind all others.
#[cfg(not(feature = "nginx-build"))]
#[no_mangle]
pub static mut ngx_module_order: [*const c_char; 3] =
    [c"ngx_http_cors_module".as_ptr(), c"ngx_http_headers_filter_module".as_ptr(), ptr::null()];

unsafe extern "C" fn create_main_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    #[cfg(feature = "fault-injection")]
    nginx::fault::read();
    // SAFETY: nginx calls it with the configuration that it reads.
    let cf = unsafe { Configuration::from_ptr(cf) };
    guard(
        || cf.log(),
        ptr::null_mut(),
        || {
            barrier::install_hook();
            set_context_index(MainConf::module().ctx_index);
            ngx_http_cors_first_module.join(MainConf::module());
            MainConf::new(&cf).map_or(ptr::null_mut(), |main| cf.allocate(main))
        },
    )
}

unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx calls it with the configuration that it reads.
    let cf = unsafe { Configuration::from_ptr(cf) };
    guard(|| cf.log(), ptr::null_mut(), || cf.allocate(LocationConf::default()))
}

/// No directive has been read yet. What is reserved now is in the same place in each configuration.
unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it with the configuration that it is about to read.
    let mut cf = unsafe { Configuration::from_ptr(cf) };
    let log = cf.log();
    guard(|| log, Code::ERROR, || keep::reserve(&mut cf).map_or(Code::ERROR, |()| Code::OK)).0
}

/// All directives have been read, and nothing of the running configuration has changed yet: the last place where a mistake
/// may be found. After this, nothing of the module's fails. nginx rebuilds its filter chains in `postconfiguration`, module by module, in the
/// process that goes on if the configuration is refused.
unsafe extern "C" fn init_main_conf(cf: *mut ngx_conf_t, main: *mut c_void) -> *mut c_char {
    // SAFETY: nginx calls it with the configuration that it reads, and what `create_main_conf` has made.
    let (mut cf, main) = unsafe { (Configuration::from_ptr(cf), &mut *main.cast::<MainConf>()) };
    let log = cf.log();
    guard(
        || log,
        NGX_CONF_ERROR,
        || {
            let own_variables = variables::define(&mut cf);
            match own_variables {
                Some(own) if main.complete(&mut cf, &own, phase::arrival, report::handler).is_ok() => {
                    // For good: if this configuration is refused later, the running one may have a zone.
                    HAS_ZONE.fetch_or(main.counting.is_some(), Relaxed);
                    ptr::null_mut()
                }
                _ => NGX_CONF_ERROR,
            }
        },
    )
}

/// A worker process starts.
unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(Log::of_cycle, (), || {
        IS_WORKER.store(true, Relaxed);
        // SAFETY: nginx calls it with the cycle that the process runs.
        if let Some(main) = unsafe { main_conf_of::<MainConf>(cycle) } {
            if let Some(counting) = main.counting {
                counting.start_worker(worker());
            }
            // The cache manager and the cache loader come here too. They serve no requests, and may not come back to their event loop for long.
            // SAFETY: nginx sets it when the process starts.
            if unsafe { ngx_process } != NGX_PROCESS_HELPER as ngx_uint_t {
                main.follow_files();
            }
        }
    });
    Code::OK.0
}

/// A configuration is about to be used. A process that works without a master (`master_process off`) starts once, and goes on with
/// each configuration that it reads.
unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(Log::of_cycle, (), || {
        // SAFETY: nginx calls it with a cycle whose configuration has been read.
        if let (true, Some(main)) = (IS_WORKER.load(Relaxed), unsafe { main_conf_of::<MainConf>(cycle) }) {
            main.follow_files();
        }
    });
    Code::OK.0
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it with the configuration that it has read.
    let mut cf = unsafe { Configuration::from_ptr(cf) };
    filter::install(HAS_ZONE.load(Relaxed));
    phase::install(&mut cf);
    Code::OK.0
}

unsafe extern "C" fn postconfiguration_of_last(_: *mut ngx_conf_t) -> ngx_int_t {
    filter::install_first();
    Code::OK.0
}
