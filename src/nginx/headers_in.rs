// SPDX-License-Identifier: Apache-2.0
//! The header fields of a request.

use super::header_list::{Elements, Names, Place};
use super::request::Request;
use super::strings::Str;

/// How often a field appears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// It does not.
    #[default]
    None,
    /// Once.
    One,
    /// More often.
    Many,
}

impl Count {
    /// Once more.
    #[inline(always)]
    pub fn next(self) -> Count {
        if self == Count::None {
            Count::One
        } else {
            Count::Many
        }
    }
}

/// Fields of a request by name.
#[derive(Clone)]
pub struct FieldsIn<'r, const N: usize> {
    elements: Elements<'r>,
    names: &'static Names<N>,
}

impl<'r> FieldsIn<'r, 1> {
    /// The first field whose name has the hash of the one that is looked for. Faster than [`Iterator::next`].
    #[inline(always)]
    pub fn first(self) -> Option<Place<'r>> {
        self.elements.first_place(|header| self.names.may_have(header))
    }
}

impl Names<1> {
    /// The value of the field at `place`, if it has the name and no other has its hash.
    #[inline(always)]
    pub fn only_value<'r>(&self, place: Place<'r>) -> Option<Str<'r>> {
        // SAFETY: nginx keeps headers in the request's memory.
        let header = unsafe { place.header().as_ref() };
        if !self.are_spelled(header) || place.rest().has_wanted(|header| self.may_have(header)) {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { Str::from_string(header.value) })
    }
}

impl<'r, const N: usize> Iterator for FieldsIn<'r, N> {
    /// The position of the name among those looked for, and the value.
    type Item = (usize, Str<'r>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // SAFETY: nginx keeps headers in the request's memory.
            let header = unsafe { self.elements.find_wanted(|header| self.names.may_have(header))?.as_ref() };
            if let Some(position) = self.names.position(header) {
                // SAFETY: nginx keeps headers in the request's memory.
                return Some((position, unsafe { Str::from_string(header.value) }));
            }
        }
    }
}

impl<'r> Request<'r> {
    /// The fields that have one of the `names`, in the order of the request.
    #[inline(always)]
    pub fn fields_in<const N: usize>(&self, names: &'static Names<N>) -> FieldsIn<'r, N> {
        // SAFETY: nginx has filled the list, and adds nothing to it later.
        FieldsIn { elements: unsafe { Elements::of(&self.fields().headers_in.headers) }, names }
    }

    /// Whether a body comes with the request.
    #[inline]
    pub fn has_body(&self) -> bool {
        let headers = &self.fields().headers_in;
        headers.content_length_n > 0 || super::layout::CHUNKED.is_set(headers)
    }
}
