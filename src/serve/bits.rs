// SPDX-License-Identifier: Apache-2.0
//! Small values in one number: what is kept of a request is memory that every request has, so it is kept short.

use std::cell::Cell;
use std::marker::PhantomData;

use cors_policy::facts::Site;
use cors_policy::{Decision, Grant, Status};

use super::keep::Way;
use crate::nginx::headers_in::Count;
use crate::nginx::request::Method;
use crate::nginx::slot::LIMIT;

/// A value of few bits; all zero is the default.
pub trait Small: Sized {
    /// How many bits it takes.
    const WIDTH: u32;
    /// The bits.
    fn to_bits(self) -> u32;
    /// The value.
    fn from_bits(bits: u32) -> Self;
}

/// A value within a number.
pub struct Bits<'c, T> {
    number: &'c Cell<u32>,
    shift: u32,
    value: PhantomData<T>,
}

impl<'c, T: Small> Bits<'c, T> {
    /// The value at a place in `number`.
    #[inline(always)]
    pub fn at(number: &'c Cell<u32>, shift: u32) -> Bits<'c, T> {
        debug_assert!(1 << (shift + T::WIDTH) <= LIMIT);
        Bits { number, shift, value: PhantomData }
    }

    /// The value.
    #[inline(always)]
    pub fn get(&self) -> T {
        T::from_bits((self.number.get() >> self.shift) & ((1 << T::WIDTH) - 1))
    }

    /// Writes a value in place of the default, for which one instruction does.
    #[inline(always)]
    pub fn set_first(&self, value: T) {
        self.number.set(self.number.get() | (value.to_bits() << self.shift));
    }

    /// Writes the value.
    #[inline(always)]
    pub fn set(&self, value: T) {
        let mask = ((1 << T::WIDTH) - 1) << self.shift;
        self.number.set((self.number.get() & !mask) | (value.to_bits() << self.shift));
    }
}

impl Small for bool {
    const WIDTH: u32 = 1;

    #[inline(always)]
    fn to_bits(self) -> u32 {
        self.into()
    }

    #[inline(always)]
    fn from_bits(bits: u32) -> bool {
        bits != 0
    }
}

/// Enumerations, by the order of their variants.
macro_rules! small {
    ($( $name:ident: $width:literal = $first:ident $(, $variant:ident)*; )+) => {
        $( impl Small for $name {
            const WIDTH: u32 = $width;

            #[inline(always)]
            fn to_bits(self) -> u32 {
                self as u32
            }

            #[inline(always)]
            fn from_bits(bits: u32) -> $name {
                $( if bits == $name::$variant as u32 {
                    return $name::$variant;
                } )*
                $name::$first
            }
        } )+
    };
}

small! {
    Method: 2 = Read, Options, Other;
    Count: 2 = None, One, Many;
    Way: 3 = General, NoOrigin, Allowed, Denied, ForAll, Preflight, Echo, PreflightDenied;
    Grant: 2 = None, Any, Origin;
    Site: 3 = Absent, Empty, Same, SameSite, CrossSite, Other;
    Status: 4 = NoOrigin, Allowed, Denied, SameOrigin, Rejected, Preflight, PreflightOriginDenied,
        PreflightMethodDenied, PreflightHeaderDenied, Bypass;
}

impl Small for Decision {
    const WIDTH: u32 = 6;

    fn to_bits(self) -> u32 {
        self.grant.to_bits() | (self.status.to_bits() << 2)
    }

    fn from_bits(bits: u32) -> Decision {
        Decision { grant: Grant::from_bits(bits & 3), status: Status::from_bits(bits >> 2) }
    }
}
