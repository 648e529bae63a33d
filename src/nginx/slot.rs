// SPDX-License-Identifier: Apache-2.0
//! Memory of a request that outlives internal redirects and that scripts cannot reach.
//!
//! An internal redirect clears the contexts of modules (`ngx_http_internal_redirect`) but not the values of indexed variables,
//! which nginx zeroes once, when the request begins. A slot is the values of a few such variables in a row, which have no name that the
//! configuration or a script could look up.
//!
//! nginx does touch all values in one place: `ngx_http_script_run`, which evaluates the variables of `root`, `proxy_pass` and others, clears
//! `valid` (bit 28) and `not_found` (bit 30) where `no_cacheable` (bit 29) is set. So a slot consists of values in nginx's own layout
//! ([`Value`]), and that bit is never set in them.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ngx::ffi::{ngx_http_variable_value_t, ngx_str_t};

use super::configuration::Configuration;
use super::log::Level;
use super::request::Request;
use super::strings::Str;
use super::variable;

/// A number and a pointer, in the memory of a value: where nginx has them.
#[repr(C)]
struct Value<T> {
    /// The number, which is less than [`LIMIT`].
    number: Cell<u32>,
    /// Half of another pointer, in bytes that nginx does not use.
    #[cfg(target_pointer_width = "64")]
    half: Cell<u32>,
    pointer: Cell<T>,
}

/// What the numbers are less than.
pub const LIMIT: u32 = 1 << 29;

const _: () = {
    type Pointer = Value<Option<&'static u8>>;
    assert!(size_of::<Pointer>() == size_of::<ngx_http_variable_value_t>());
    assert!(align_of::<Pointer>() == align_of::<ngx_http_variable_value_t>());
    assert!(offset_of!(Pointer, pointer) == offset_of!(ngx_http_variable_value_t, data));
};

/// What is kept of a request: small values, a string, a pointer to one thing, and one to more, which few requests need. Every request has
/// this memory, whatever its location, so it is kept short.
#[repr(C)]
pub struct Held<'r, One, More> {
    one: Value<Option<&'r One>>,
    text: Value<*const u8>,
    #[cfg(not(target_pointer_width = "64"))]
    more: Value<Option<&'r More>>,
    of: PhantomData<Cell<(&'r [u8], &'r More)>>,
}

impl<One, More> Default for Held<'_, One, More> {
    fn default() -> Self {
        // SAFETY: zero is a number, a null pointer and `None` of a reference.
        unsafe { std::mem::zeroed() }
    }
}

impl<'r, One, More> Held<'r, One, More> {
    /// Where small values are.
    #[inline(always)]
    pub fn number(&self) -> &Cell<u32> {
        &self.one.number
    }

    /// The one thing, once there is a pointer to it.
    #[inline(always)]
    pub fn one(&self) -> Option<&'r One> {
        self.one.pointer.get()
    }

    /// Points to one thing.
    #[inline(always)]
    pub fn set_one(&self, one: &'r One) {
        self.one.pointer.set(Some(one));
    }

    /// The string; empty at first.
    #[inline(always)]
    pub fn text(&self) -> Str<'r> {
        let string = ngx_str_t { len: self.text.number.get() as usize, data: self.text.pointer.get().cast_mut() };
        // SAFETY: it is empty, or the string that was set.
        unsafe { Str::from_string(string) }
    }

    /// Writes the string. One of 512 MiB and more, which no header field is, loses its end.
    #[inline(always)]
    pub fn set_text(&self, text: Str<'r>) {
        let string = text.as_string();
        self.text.pointer.set(string.data);
        self.text.number.set(string.len.min(LIMIT as usize - 1) as u32);
    }

    /// More, once there is a pointer to it.
    #[cfg(target_pointer_width = "64")]
    #[inline(always)]
    pub fn more(&self) -> Option<&'r More> {
        let address = self.one.half.get() as usize | (self.text.half.get() as usize) << 32;
        // SAFETY: null, or what it was set to, which lives as long as `'r`.
        unsafe { ptr::with_exposed_provenance::<More>(address).as_ref() }
    }

    /// Points to more.
    #[cfg(target_pointer_width = "64")]
    pub fn set_more(&self, more: &'r More) {
        let address = ptr::from_ref(more).expose_provenance();
        self.one.half.set(address as u32);
        self.text.half.set((address >> 32) as u32);
    }

    /// More, once there is a pointer to it.
    #[cfg(not(target_pointer_width = "64"))]
    pub fn more(&self) -> Option<&'r More> {
        self.more.pointer.get()
    }

    /// Points to more.
    #[cfg(not(target_pointer_width = "64"))]
    pub fn set_more(&self, more: &'r More) {
        self.more.pointer.set(Some(more));
    }
}

/// What most requests keep a pointer to.
pub trait Keeps: 'static {
    /// What few of them keep a pointer to.
    type More<'r>: 'r;
}

/// Where in a request's memory it is.
pub struct Slot<One>(AtomicUsize, PhantomData<fn() -> One>);

const VALUE: usize = size_of::<ngx_http_variable_value_t>();
const UNKNOWN: usize = usize::MAX;

impl<One: Keeps> Slot<One> {
    /// Before any configuration.
    pub const fn new() -> Self {
        Slot(AtomicUsize::new(UNKNOWN), PhantomData)
    }

    /// Reserves the memory in each request of the configuration that is being read, before any directive has been read; `None` if memory
    /// runs out, or if requests of an earlier configuration have it elsewhere.
    pub fn reserve(&self, cf: &mut Configuration<'_>) -> Option<()> {
        let known = self.0.load(Relaxed);
        #[cfg(feature = "fault-injection")]
        if super::fault::is_moved(known == UNKNOWN) {
            variable::add_nameless(cf)?;
        }
        let first = variable::add_nameless(cf)?;
        for at in 1..size_of::<Held<One, One::More<'static>>>() / VALUE {
            // nginx hands out indices in a row (`ngx_http_get_variable_index`).
            if variable::add_nameless(cf)? != first + at {
                return None;
            }
        }
        let place = first * VALUE;
        if known != UNKNOWN && known != place {
            cf.log().write(Level::EMERG, "cors: the modules loaded before this one have changed: restart nginx");
            return None;
        }
        self.0.store(place, Relaxed);
        Some(())
    }
}

impl<'r> Request<'r> {
    /// What is kept of the request in a slot, which its configuration has reserved.
    #[inline(always)]
    pub fn held<One: Keeps>(&self, slot: &Slot<One>) -> &'r Held<'r, One, One::More<'r>> {
        // SAFETY: a request has a value for each indexed variable, zeroed when it begins (`ngx_http_alloc_request`), and nobody
        // else uses those that `Slot::reserve` has asked for, of which this consists. Each configuration has them in the same place.
        unsafe { &*self.fields().variables.byte_add(slot.0.load(Relaxed)).cast() }
    }
}
