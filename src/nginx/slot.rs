// SPDX-License-Identifier: Apache-2.0
//! Memory of a request that outlives internal redirects and that scripts cannot reach.
//!
//! An internal redirect clears the contexts of modules (`ngx_http_internal_redirect`) but not the values of indexed variables,
//! which nginx zeroes once, when the request begins. A slot is the value of such a variable. Its name is
//! not in the table in which nginx and its scripts look names up (`NGX_HTTP_VAR_NOHASH`), and is none that the configuration
//! defines.
//!
//! nginx does touch all values in one place: `ngx_http_script_run`, which evaluates the variables of `root`, `proxy_pass` and others, clears
//! `valid` (bit 28) and `not_found` (bit 30) where `no_cacheable` (bit 29) is set. So a slot has nginx's own layout ([`Held`]),
//! and that bit is never set in it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;

use ngx::ffi::{ngx_http_variable_value_t, ngx_str_t};

use super::configuration::Configuration;
use super::request::Request;
use super::strings::Str;
use super::variable;

/// What is kept of a request: small values, a short string, and where one thing is, or more.
///
/// It is the memory of one value. Every request has it, whatever its location, so there is no more of it.
#[repr(C)]
pub struct Held<'r, One, More> {
    /// The small values, and the length of the string above them: less than 2^29.
    number: Cell<u32>,
    /// How far behind this memory the string is. nginx does not use these bytes.
    #[cfg(target_pointer_width = "64")]
    distance: Cell<i32>,
    /// A pointer to `One`, or to `More` with [`IS_MORE`] added; null at first.
    pointer: Cell<*const ()>,
    of: PhantomData<(&'r One, &'r More, &'r [u8])>,
}

const _: () = {
    type Value = Held<'static, u64, u64>;
    assert!(size_of::<Value>() == size_of::<ngx_http_variable_value_t>());
    assert!(align_of::<Value>() == align_of::<ngx_http_variable_value_t>());
    assert!(offset_of!(Value, pointer) == offset_of!(ngx_http_variable_value_t, data));
};

/// How many bits small values may take.
pub const SMALL: u32 = 19;
/// The length that a string has which is somewhere else. 29 bits are nginx's and ours.
const ELSEWHERE: usize = (1 << (29 - SMALL)) - 1;
const IS_MORE: usize = 1;

impl<One, More> Default for Held<'_, One, More> {
    fn default() -> Self {
        // SAFETY: zero is a number, and a null pointer.
        unsafe { std::mem::zeroed() }
    }
}

impl<'r, One, More> Held<'r, One, More> {
    /// Where small values are, in the lowest [`SMALL`] bits.
    #[inline(always)]
    pub fn number(&self) -> &Cell<u32> {
        &self.number
    }

    /// The one thing that the pointer points to; `None` if it points to more, or to nothing yet.
    #[inline(always)]
    pub fn one(&self) -> Option<&'r One> {
        let pointer = self.pointer.get();
        match pointer.addr() & IS_MORE {
            // SAFETY: what it was set to lives as long as `'r`.
            0 => unsafe { pointer.cast::<One>().as_ref() },
            _ => None,
        }
    }

    /// More, if the pointer points to it.
    #[inline(always)]
    pub fn more(&self) -> Option<&'r More> {
        let pointer = self.pointer.get();
        match pointer.addr() & IS_MORE {
            0 => None,
            // SAFETY: what it was set to lives as long as `'r`.
            _ => Some(unsafe { &*pointer.map_addr(|address| address - IS_MORE).cast() }),
        }
    }

    /// Points to one thing.
    #[inline(always)]
    pub fn point_to(&self, one: &'r One) {
        const { assert!(align_of::<One>() > IS_MORE) };
        self.pointer.set(ptr::from_ref(one).cast());
    }

    /// Points to more.
    pub fn point_to_more(&self, more: &'r More) {
        const { assert!(align_of::<More>() > IS_MORE) };
        self.pointer.set(ptr::from_ref(more).cast::<()>().map_addr(|address| address + IS_MORE));
    }

    /// The string; `None` if it is somewhere else.
    #[inline(always)]
    pub fn text(&self) -> Option<Str<'r>> {
        let len = (self.number.get() >> SMALL) as usize;
        if len == ELSEWHERE {
            return None;
        }
        // SAFETY: that is where the string of this length was.
        Some(unsafe { Str::from_string(ngx_str_t { len, data: self.behind() }) })
    }

    /// Notes where the string is, in place of the empty one; returns whether that is near enough, and the string short enough. If they are
    /// not, nothing has changed.
    #[inline(always)]
    pub fn set_first_text(&self, text: Str<'r>) -> bool {
        let string = text.as_string();
        let is_near = string.len < ELSEWHERE && self.set_behind(string.data);
        if is_near {
            self.number.set(self.number.get() | (string.len as u32) << SMALL);
        }
        is_near
    }

    /// Notes where the string is. If it is too far or too long, it counts as somewhere else, and this returns `false`.
    #[inline]
    pub fn set_text(&self, text: Str<'r>) -> bool {
        let small = self.number.get() & ((1 << SMALL) - 1);
        self.number.set(small);
        let is_near = self.set_first_text(text);
        if !is_near {
            self.number.set(small | (ELSEWHERE as u32) << SMALL);
        }
        is_near
    }

    #[cfg(target_pointer_width = "64")]
    #[inline(always)]
    fn set_behind(&self, data: *mut u8) -> bool {
        let distance = data.expose_provenance().wrapping_sub(ptr::from_ref(self).addr()).cast_signed();
        let is_near = distance == distance as i32 as isize;
        if is_near {
            self.distance.set(distance as i32);
        }
        is_near
    }

    #[cfg(target_pointer_width = "64")]
    #[inline(always)]
    fn behind(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(ptr::from_ref(self).addr().wrapping_add_signed(self.distance.get() as isize))
    }

    /// There are no bytes to spare, so a string is always somewhere else, unless it is empty.
    #[cfg(not(target_pointer_width = "64"))]
    fn set_behind(&self, _: *mut u8) -> bool {
        false
    }

    #[cfg(not(target_pointer_width = "64"))]
    fn behind(&self) -> *mut u8 {
        ptr::null_mut()
    }
}

/// A configuration of a location that says what is kept of a request. `L` has one implementation, so the memory always has
/// the same type.
pub trait Keeps {
    /// What most requests keep a pointer to.
    type One: 'static;
    /// What few requests keep a pointer to.
    type More<'r>: 'r;
}

/// Where in a request's memory it is.
pub struct Slot<L>(usize, PhantomData<fn() -> L>);

impl<L> Clone for Slot<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Slot<L> {}

impl<L> Slot<L> {
    /// Before [`Slot::reserve`], and so before any request.
    pub const NOWHERE: Slot<L> = Slot(0, PhantomData);
}

impl<L: Keeps> Slot<L> {
    /// Reserves the memory in each request of the configuration that is being read, when all directives have been read; `None`
    /// if memory runs out. The name of the variable begins with `name`.
    pub fn reserve(cf: &mut Configuration<'_>, name: &str) -> Option<Slot<L>> {
        // `set` and `map` may define a variable of any name.
        let name = (1..).map(|number| format!("{name} {number}")).find(|name| !variable::is_defined(cf, name))?;
        let index = variable::add_hidden(cf, &name)?;
        Some(Slot(index * size_of::<ngx_http_variable_value_t>(), PhantomData))
    }
}

impl<'r> Request<'r> {
    /// What is kept of the request.
    #[inline(always)]
    pub fn kept<L: Keeps>(&self, slot: Slot<L>) -> &'r Held<'r, L::One, L::More<'r>> {
        // SAFETY: a request has a value for each indexed variable, zeroed when it begins (`ngx_http_alloc_request`), and nobody
        // else uses the one that `Slot::reserve` has asked for. Its size and alignment are the same.
        unsafe { &*self.fields().variables.byte_add(slot.0).cast() }
    }
}
