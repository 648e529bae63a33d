// SPDX-License-Identifier: Apache-2.0
//! Checks that the bindings agree with the C compiler on the layout of nginx's structures, as measured by `build.rs`; and
//! accessors of bit-fields, whose places bindgen does not get right in every nginx.

use std::marker::PhantomData;
use std::mem::{offset_of, size_of};
use std::ptr;

use nginx_sys::*;

/// A bit-field of one bit in `T`.
pub struct Flag<T> {
    at: usize,
    mask: u8,
    of: PhantomData<T>,
}

impl<T> Flag<T> {
    /// Whether it is set.
    #[inline]
    pub fn is_set(&self, structure: &T) -> bool {
        // SAFETY: the byte is one of the structure's: that is where the C compiler has put the bit.
        unsafe { *ptr::from_ref(structure).cast::<u8>().add(self.at) & self.mask != 0 }
    }

    /// Sets it.
    #[inline]
    pub fn set(&self, structure: &mut T) {
        // SAFETY: the byte is one of the structure's, and a bit-field may have any value.
        unsafe { *ptr::from_mut(structure).cast::<u8>().add(self.at) |= self.mask };
    }

    /// Clears it.
    #[inline]
    pub fn clear(&self, structure: &mut T) {
        // SAFETY: the byte is one of the structure's, and a bit-field may have any value.
        unsafe { *ptr::from_mut(structure).cast::<u8>().add(self.at) &= !self.mask };
    }
}

include!(concat!(env!("OUT_DIR"), "/layout.rs"));
