// SPDX-License-Identifier: Apache-2.0
//! A request (<https://nginx.org/en/docs/dev/development_guide.html#http_request>).

use std::fmt::{self, Display, Write};
use std::marker::PhantomData;
use std::mem::needs_drop;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ngx::ffi::{
    ngx_http_request_t, ngx_int_t, ngx_str_t, NGX_AGAIN, NGX_DECLINED, NGX_ERROR, NGX_HTTP_GET, NGX_HTTP_HEAD,
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OPTIONS, NGX_OK,
};
use ngx::http::{HttpModuleLocationConf, HttpModuleMainConf};

use super::barrier::guard;
use super::fallible::ngx_pnalloc;
use super::layout::{INTERNAL, POST_ACTION};
use super::log::Log;
use super::strings::{self, Str};

/// nginx's pool had no memory left.
#[derive(Clone, Copy, Debug)]
pub struct OutOfMemory;

/// The index of the module's configurations. nginx gives it out when it loads the module.
static CONTEXT_INDEX: AtomicUsize = AtomicUsize::new(0);

/// Takes note of the index of the module's configurations.
pub fn set_context_index(index: usize) {
    CONTEXT_INDEX.store(index, Relaxed);
}

#[inline(always)]
fn context_index() -> usize {
    CONTEXT_INDEX.load(Relaxed)
}

/// What an entry point returns to nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub ngx_int_t);

impl Code {
    /// It is done.
    pub const OK: Code = Code(NGX_OK as ngx_int_t);
    /// Nobody has done anything yet.
    pub const DECLINED: Code = Code(NGX_DECLINED as ngx_int_t);
    /// The request cannot go on.
    pub const ERROR: Code = Code(NGX_ERROR as ngx_int_t);
    /// The method is not allowed.
    pub const NOT_ALLOWED: Code = Code(NGX_HTTP_NOT_ALLOWED as ngx_int_t);
    /// Something is wrong on the server.
    pub const INTERNAL_SERVER_ERROR: Code = Code(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t);
    /// There is more to send when the client takes it.
    pub const AGAIN: Code = Code(NGX_AGAIN as ngx_int_t);
}

/// The methods that make a difference to cross-origin requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// GET or HEAD
    #[default]
    Read,
    /// OPTIONS
    Options,
    /// Any other.
    Other,
}

/// A request, for as long as nginx's call of an entry point lasts. What belongs to the request lives longer, for `'r`.
///
/// Only the entry points make one, of the pointer that nginx calls them with; it is handed on and neither copied nor kept, so
/// that nobody looks at a request while nginx changes it.
#[repr(transparent)]
pub struct Request<'r>(NonNull<ngx_http_request_t>, PhantomData<&'r mut &'r ngx_http_request_t>);

impl<'r> Request<'r> {
    /// # Safety
    /// `r` is the request that nginx has called an entry point with, the only `Request` of it, and not used after the call.
    #[inline(always)]
    pub unsafe fn from_ptr(r: *mut ngx_http_request_t) -> Request<'r> {
        // SAFETY: the caller's promise.
        Request(unsafe { NonNull::new_unchecked(r) }, PhantomData)
    }

    /// The request that the client sent, if this is a subrequest of it.
    pub fn main(self) -> Request<'r> {
        // SAFETY: a main request outlives its subrequests, and `self` is given up.
        unsafe { Request::from_ptr((*self.0.as_ptr()).main) }
    }

    #[inline(always)]
    pub(super) fn as_ptr(&mut self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    #[inline(always)]
    pub(super) fn fields(&self) -> &ngx_http_request_t {
        // SAFETY: the request lives, and nginx changes it only in calls that take `&mut self`.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(super) fn fields_mut(&mut self) -> &mut ngx_http_request_t {
        // SAFETY: the request lives, and this is the only `Request` of it.
        unsafe { self.0.as_mut() }
    }

    /// Whether this is the request that the client sent, and not a subrequest.
    #[inline(always)]
    pub fn is_main(&self) -> bool {
        ptr::eq(self.0.as_ptr(), self.fields().main)
    }

    /// Where messages about this request go.
    #[inline]
    pub fn log(&self) -> Log {
        // SAFETY: a request has a connection, and the connection a log, for as long as the request lives.
        unsafe { Log::from_ptr((*self.fields().connection).log) }
    }

    /// Runs `entry` behind the barrier: see [`guard`].
    #[inline(always)]
    pub fn guard<T>(&mut self, fallback: T, entry: impl FnOnce(&mut Request<'r>) -> T) -> T {
        let r = self.0;
        // SAFETY: `entry` no longer has the request when the log is asked for.
        guard(|| Request::log(&unsafe { Request::from_ptr(r.as_ptr()) }), fallback, || entry(self))
    }

    /// The configuration of the location that the request is in, or of the server if it is not in one yet.
    #[inline(always)]
    pub fn location<L: HttpModuleLocationConf<LocationConf = L>>(&self) -> &'r L {
        // SAFETY: the module has made one for each level, and a request never outlives its configuration.
        unsafe { &*(*self.fields().loc_conf.add(context_index())).cast::<L>() }
    }

    /// The module's configuration of the whole `http` block.
    #[inline(always)]
    pub fn main_conf<M: HttpModuleMainConf<MainConf = M>>(&self) -> &'r M {
        // SAFETY: the module has made it, and a request never outlives its configuration.
        unsafe { &*(*self.fields().main_conf.add(context_index())).cast::<M>() }
    }

    /// The kind of the method that the request has now.
    #[inline(always)]
    pub fn method(&self) -> Method {
        match self.fields().method as u32 {
            NGX_HTTP_GET | NGX_HTTP_HEAD => Method::Read,
            NGX_HTTP_OPTIONS => Method::Options,
            _ => Method::Other,
        }
    }

    /// Whether the request has been redirected within nginx.
    #[inline(always)]
    pub fn is_internal(&self) -> bool {
        INTERNAL.is_set(self.fields())
    }

    /// Whether the client has its response, and nginx runs the `post_action` of the location.
    pub fn is_post_action(&self) -> bool {
        POST_ACTION.is_set(self.fields())
    }

    /// The kind of the method that the client sent: scripts may set another, and `error_page` and `X-Accel-Redirect` turn
    /// methods into GET.
    pub fn method_sent(&self) -> Method {
        // SAFETY: nginx keeps the line as long as the request, and makes one for HTTP/2 and HTTP/3.
        let line: &[u8] = unsafe { strings::slice(&self.fields().request_line) };
        match line.split(|&b| b == b' ').next() {
            Some(b"GET" | b"HEAD") => Method::Read,
            Some(b"OPTIONS") => Method::Options,
            _ => Method::Other,
        }
    }

    /// `Host` or `:authority` as sent; empty if there is neither.
    #[inline(always)]
    pub fn host(&self) -> Str<'r> {
        // SAFETY: a pointer to a request header is null, or valid while the request is.
        match unsafe { self.fields().headers_in.host.as_ref() } {
            // SAFETY: nginx keeps headers in the request's memory.
            Some(host) => unsafe { Str::from_string(host.value) },
            None => self.authority(),
        }
    }

    /// HTTP/3 has no `Host` field, only the parsed authority.
    #[cold]
    #[inline(never)]
    fn authority(&self) -> Str<'r> {
        let r = self.fields();
        if r.host_start.is_null() {
            return Str::from(&b""[..]);
        }
        // SAFETY: both point into the same authority of the request.
        unsafe {
            let length = r.host_end.offset_from(r.host_start);
            Str::from_string(ngx_str_t { len: usize::try_from(length).unwrap_or(0), data: r.host_start })
        }
    }

    /// Joins `parts` with commas in the request's pool.
    pub fn join<'p>(&mut self, parts: impl Iterator<Item = &'p [u8]> + Clone) -> Result<&'r [u8], OutOfMemory> {
        let length: usize = parts.clone().map(|part| part.len() + 2).sum();
        // SAFETY: nginx takes any length.
        let memory = unsafe { ngx_pnalloc(self.fields().pool, length) }.cast::<u8>();
        let memory = NonNull::new(memory).ok_or(OutOfMemory)?;
        let mut end = 0;
        for part in parts {
            // An iterator of ours is the same both times.
            if end + 2 + part.len() > length {
                break;
            }
            // SAFETY: fresh memory, in which there is room for both.
            unsafe {
                if end > 0 {
                    memory.add(end).cast::<[u8; 2]>().write(*b", ");
                    end += 2;
                }
                memory.add(end).copy_from_nonoverlapping(NonNull::from(part).cast(), part.len());
            }
            end += part.len();
        }
        // SAFETY: that much of it has been written, and it lives as long as the request.
        Ok(unsafe { slice::from_raw_parts(memory.as_ptr(), end) })
    }

    /// Puts a text into the request's pool.
    pub fn format(&mut self, text: impl Display) -> Result<&'r [u8], OutOfMemory> {
        /// Counts, and writes as far as there is room.
        struct Writer<'w>(&'w mut [u8], usize);
        impl Write for Writer<'_> {
            fn write_str(&mut self, part: &str) -> fmt::Result {
                if let Some(place) = self.0.get_mut(self.1..self.1 + part.len()) {
                    place.copy_from_slice(part.as_bytes());
                }
                self.1 += part.len();
                Ok(())
            }
        }
        let mut counter = Writer(&mut [], 0);
        let _ = write!(counter, "{text}");
        let length = counter.1;
        // SAFETY: nginx takes any length.
        let memory = unsafe { ngx_pnalloc(self.fields().pool, length) }.cast::<u8>();
        let memory = NonNull::new(memory).ok_or(OutOfMemory)?;
        // SAFETY: fresh memory of that length, as long-lived as the request; it is zeroed before it is looked at as bytes.
        let written: &'r mut [u8] = unsafe {
            memory.write_bytes(0, length);
            slice::from_raw_parts_mut(memory.as_ptr(), length)
        };
        let _ = write!(Writer(written, 0), "{text}");
        Ok(written)
    }

    /// Puts `value` into the request's pool.
    pub fn keep<T: 'r>(&mut self, value: T) -> Result<&'r T, OutOfMemory> {
        const { assert!(align_of::<T>() <= ngx::ffi::NGX_ALIGNMENT && !needs_drop::<T>()) };
        // SAFETY: nginx takes any size.
        let memory = unsafe { super::fallible::ngx_palloc(self.fields().pool, size_of::<T>()) }.cast::<T>();
        let memory = NonNull::new(memory).ok_or(OutOfMemory)?;
        // SAFETY: fresh memory of that size, aligned, as long-lived as the request; the value has no destructor.
        unsafe {
            memory.write(value);
            Ok(memory.as_ref())
        }
    }

    /// A string that nginx has filled from this request.
    ///
    /// # Safety
    /// The string lives as long as the request.
    pub(super) unsafe fn slice(&self, string: &ngx_str_t) -> &'r [u8] {
        // SAFETY: the caller's promise.
        unsafe { strings::slice(string) }
    }
}
