// SPDX-License-Identifier: Apache-2.0
//! Memory of a request that outlives internal redirects and that scripts cannot reach.
//!
//! An internal redirect clears the contexts of modules (`ngx_http_internal_redirect`) but not the values of indexed variables,
//! which nginx zeroes once, when the request begins. A slot is the values of a few such variables in a row. Their names are
//! not in the table in which nginx and its scripts look names up (`NGX_HTTP_VAR_NOHASH`), and are none that the configuration
//! defines.
//!
//! nginx does touch all values in one place: `ngx_http_script_run`, which evaluates the variables of `root`, `proxy_pass` and others, clears
//! `valid` (bit 28) and `not_found` (bit 30) where `no_cacheable` (bit 29) is set. So a slot consists of values in nginx's own layout
//! ([`Held`]), and that bit is never set in them.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;

use ngx::ffi::ngx_http_variable_value_t;

use super::configuration::Configuration;
use super::request::Request;
use super::strings::HeldStr;
use super::variable;

/// A pointer and a number, in the memory of a value: where nginx has them.
#[repr(C)]
#[derive(Default)]
pub struct Held<T> {
    /// The number, which is less than [`LIMIT`].
    pub number: Cell<u32>,
    /// The pointer.
    pub pointer: Cell<T>,
}

/// What the numbers of [`Held`] are less than.
pub const LIMIT: u32 = 1 << 29;

const _: () = {
    type Pointer = Held<Option<&'static u8>>;
    assert!(size_of::<Pointer>() == size_of::<ngx_http_variable_value_t>());
    assert!(offset_of!(Pointer, pointer) == offset_of!(ngx_http_variable_value_t, data));
};

/// A type that consists of [`Held`], and of which all-zero memory is a value. It has no destructor that matters: nobody calls it.
///
/// # Safety
/// That must be so.
// Rust 1.85 does not see that it is a bound of `Of`.
#[allow(dead_code)]
pub unsafe trait Zeroable {}

// SAFETY: `None` of a reference is null.
unsafe impl<T> Zeroable for Held<Option<&T>> {}
// SAFETY: zero is an empty string.
unsafe impl Zeroable for HeldStr<'_> {}

/// Declares a structure that is [`Zeroable`], because its fields are.
#[macro_export]
macro_rules! zeroable {
    ($( #[doc = $doc:literal] )* pub struct $name:ident<$life:lifetime> {
        $( $( #[doc = $field_doc:literal] )* $visible:vis $field:ident: $type:ty, )+
    }) => {
        $( #[doc = $doc] )*
        #[repr(C)]
        #[derive(Default)]
        pub struct $name<$life> { $( $( #[doc = $field_doc] )* $visible $field: $type, )+ }

        // SAFETY: all fields are.
        unsafe impl<$life> $crate::nginx::slot::Zeroable for $name<$life>
        where
            $( $type: $crate::nginx::slot::Zeroable, )+
        {
        }
    };
}

/// A configuration of a location that says what is kept of a request. `L` has one implementation, so the memory always has
/// the same type.
pub trait Keeps {
    /// What is kept, for each lifetime of a request.
    type Of<'r>: Zeroable;
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

const VALUE: usize = size_of::<ngx_http_variable_value_t>();

impl<L: Keeps> Slot<L> {
    /// Reserves the memory in each request of the configuration that is being read, when all directives have been read; `None`
    /// if memory runs out. The names of the variables begin with `name`.
    pub fn reserve(cf: &mut Configuration<'_>, name: &str) -> Option<Slot<L>> {
        const { assert!(align_of::<L::Of<'static>>() <= align_of::<ngx_http_variable_value_t>()) };
        let mut names = (1..).map(|number| format!("{name} {number}"));
        let mut first = None;
        for at in 0..size_of::<L::Of<'static>>().div_ceil(VALUE) {
            // `set` and `map` may define a variable of any name.
            let name = names.find(|name| !variable::is_defined(cf, name))?;
            let index = variable::add_hidden(cf, &name)?;
            // nginx hands out indices in a row (`ngx_http_get_variable_index`).
            if index != *first.get_or_insert(index) + at {
                return None;
            }
        }
        Some(Slot(first? * VALUE, PhantomData))
    }
}

impl<'r> Request<'r> {
    /// What is kept of the request.
    #[inline(always)]
    pub fn kept<L: Keeps>(&self, slot: Slot<L>) -> &'r L::Of<'r> {
        // SAFETY: a request has a value for each indexed variable, zeroed when it begins (`ngx_http_alloc_request`), and nobody
        // else uses those that `Slot::reserve` has asked for, after comparing size and alignment.
        unsafe { &*self.fields().variables.byte_add(slot.0).cast::<L::Of<'r>>() }
    }
}
