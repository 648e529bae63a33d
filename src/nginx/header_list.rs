// SPDX-License-Identifier: Apache-2.0
//! Lists of header fields (<https://nginx.org/en/docs/dev/development_guide.html#list>).

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use ngx::ffi::{ngx_list_part_t, ngx_list_t, ngx_table_elt_t, ngx_uint_t};

use super::strings::{self, string};

/// The name of a request header field, with the hash that nginx computes for it.
pub struct Name {
    hash: ngx_uint_t,
    lower: &'static [u8],
}

impl Name {
    const fn new(lower: &'static [u8]) -> Name {
        let mut hash: ngx_uint_t = 0;
        let mut at = 0;
        while at < lower.len() {
            // `ngx_hash` of src/core/ngx_hash.h
            hash = hash.wrapping_mul(31).wrapping_add(lower[at] as ngx_uint_t);
            at += 1;
        }
        Name { hash, lower }
    }

    /// Whether `header` has this name.
    #[inline]
    fn is(&self, header: &ngx_table_elt_t) -> bool {
        header.hash == self.hash && self.spells(header)
    }

    /// Whether `header`, which has the hash of this name, has the name.
    #[inline]
    fn spells(&self, header: &ngx_table_elt_t) -> bool {
        header.key.len == self.lower.len()
            // SAFETY: nginx keeps the lower-case name, as long as the name, with every request header.
            && is_same(unsafe { slice::from_raw_parts(header.lowcase_key, header.key.len) }, self.lower)
    }
}

/// Whether both are the same, without a call if they have eight bytes or more.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last), Some(other)) => last == other && a.len() == b.len() && a.chunks_exact(8).eq(b.chunks_exact(8)),
        _ => a == b,
    }
}

/// Names that are looked for in one pass.
pub struct Names<const N: usize> {
    names: [Name; N],
    /// A bit for each name, by the low bits of its hash: most other fields have none of them.
    hashes: u64,
}

impl<const N: usize> Names<N> {
    /// The names, in lower case.
    pub const fn new(lower: [&'static [u8]; N]) -> Names<N> {
        let mut names = [const { Name::new(b"") }; N];
        let mut hashes = 0;
        let mut at = 0;
        while at < N {
            names[at] = Name::new(lower[at]);
            hashes |= 1 << (names[at].hash % 64);
            at += 1;
        }
        Names { names, hashes }
    }

    #[inline(always)]
    pub(super) fn may_have(&self, header: &ngx_table_elt_t) -> bool {
        match &self.names[..] {
            [name] => header.hash == name.hash,
            _ => self.hashes >> (header.hash % 64) & 1 != 0,
        }
    }

    /// Whether `header`, which [may have](Self::may_have) the name, has it.
    #[inline(always)]
    pub(super) fn are_spelled(&self, header: &ngx_table_elt_t) -> bool {
        self.names.iter().any(|name| name.spells(header))
    }

    #[inline(always)]
    pub(super) fn position(&self, header: &ngx_table_elt_t) -> Option<usize> {
        self.names.iter().position(|name| name.is(header))
    }
}

/// The elements of a list of headers.
#[derive(Clone)]
pub struct Elements<'r> {
    at: *mut ngx_table_elt_t,
    end: *mut ngx_table_elt_t,
    part: *const ngx_list_part_t,
    of: PhantomData<&'r ngx_list_t>,
}

/// An element of a list of headers, in two registers.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Place<'r> {
    header: NonNull<ngx_table_elt_t>,
    part: NonNull<ngx_list_part_t>,
    of: PhantomData<&'r ngx_list_t>,
}

impl<'r> Place<'r> {
    /// The element.
    #[inline(always)]
    pub fn header(self) -> NonNull<ngx_table_elt_t> {
        self.header
    }

    /// Those behind it.
    #[inline(always)]
    pub fn rest(self) -> Elements<'r> {
        let mut elements =
            Elements { at: ptr::null_mut(), end: ptr::null_mut(), part: self.part.as_ptr(), of: PhantomData };
        // SAFETY: the part is one of the list's, and the element is in it.
        unsafe {
            elements.enter_part();
            elements.at = self.header.as_ptr().add(1);
        }
        elements
    }
}

impl<'r> Elements<'r> {
    /// # Safety
    /// `list` is an initialised list of headers that lives as long as `'r`, and to which nothing is added while the elements
    /// are looked at.
    #[inline]
    pub unsafe fn of(list: *const ngx_list_t) -> Elements<'r> {
        // SAFETY: the caller's promise.
        let part = unsafe { ptr::addr_of!((*list).part) };
        let mut elements = Elements { at: ptr::null_mut(), end: ptr::null_mut(), part, of: PhantomData };
        // SAFETY: a list has a first part.
        unsafe { elements.enter_part() };
        elements
    }

    /// # Safety
    /// `part` is not null.
    #[inline(always)]
    unsafe fn enter_part(&mut self) {
        // SAFETY: each part says how many elements it has.
        unsafe {
            let part = &*self.part;
            self.at = part.elts.cast();
            self.end = self.at.add(part.nelts);
        }
    }

    /// Goes on to the next part; returns whether there is one.
    #[inline(always)]
    fn enter_next_part(&mut self) -> bool {
        // SAFETY: the parts of a list are linked and end in null.
        unsafe {
            let next = (*self.part).next;
            if next.is_null() {
                return false;
            }
            self.part = next;
            self.enter_part();
        }
        true
    }

    /// Where the first header is that is `wanted`.
    #[inline(always)]
    pub fn first_place(mut self, wanted: impl Fn(&ngx_table_elt_t) -> bool) -> Option<Place<'r>> {
        loop {
            // SAFETY: from `at` to `end` there are elements, of a list that lives as long as `'r`.
            if let Some(header) = unsafe { self.first_in_part(&wanted) } {
                return NonNull::new(self.part.cast_mut()).map(|part| Place { header, part, of: PhantomData });
            }
            if !self.enter_next_part() {
                return None;
            }
        }
    }

    /// # Safety
    /// From `at` to `end` there are elements.
    #[inline(always)]
    unsafe fn first_in_part(&self, wanted: &impl Fn(&ngx_table_elt_t) -> bool) -> Option<NonNull<ngx_table_elt_t>> {
        let mut at = self.at;
        // SAFETY: the caller's promise.
        unsafe {
            if at.wrapping_add(4) > self.end {
                while at != self.end {
                    if wanted(&*at) {
                        return NonNull::new(at);
                    }
                    at = at.add(1);
                }
                return None;
            }
            let last_four = self.end.sub(4);
            while at < last_four {
                if wanted(&*at) {
                    return NonNull::new(at);
                }
                if wanted(&*at.add(1)) {
                    return NonNull::new(at.add(1));
                }
                if wanted(&*at.add(2)) {
                    return NonNull::new(at.add(2));
                }
                if wanted(&*at.add(3)) {
                    return NonNull::new(at.add(3));
                }
                at = at.add(4);
            }
            // Some of them may have been looked at before.
            (0..4).map(|index| last_four.add(index)).find(|&at| wanted(&*at)).and_then(NonNull::new)
        }
    }

    /// The next header that is `wanted`. Four at a time, because this loop is most of what the module does to a request.
    #[inline(always)]
    pub fn find_wanted(&mut self, wanted: impl Fn(&ngx_table_elt_t) -> bool) -> Option<NonNull<ngx_table_elt_t>> {
        loop {
            // SAFETY: from `at` to `end` there are elements, of a list that lives as long as `'r`.
            unsafe {
                // A list that nginx has not made yet has null for both.
                while self.at.wrapping_add(4) <= self.end {
                    let first = self.at;
                    let found = if wanted(&*first) {
                        first
                    } else if wanted(&*first.add(1)) {
                        first.add(1)
                    } else if wanted(&*first.add(2)) {
                        first.add(2)
                    } else if wanted(&*first.add(3)) {
                        first.add(3)
                    } else {
                        self.at = first.add(4);
                        continue;
                    };
                    self.at = found.add(1);
                    return NonNull::new(found);
                }
                while self.at != self.end {
                    let header = self.at;
                    self.at = header.add(1);
                    if wanted(&*header) {
                        return NonNull::new(header);
                    }
                }
                if !self.enter_next_part() {
                    return None;
                }
            }
        }
    }

    /// Whether there is a header that is `wanted`. Where there mostly is none, this is faster than [`Elements::find_wanted`].
    #[inline(always)]
    pub fn has_wanted(mut self, wanted: impl Fn(&ngx_table_elt_t) -> bool) -> bool {
        loop {
            // SAFETY: from `at` to `end` there are elements, of a list that lives as long as `'r`.
            unsafe {
                if self.at.wrapping_add(4) <= self.end {
                    let last_four = self.end.sub(4);
                    while self.at < last_four {
                        if are_any_of_four(self.at, &wanted) {
                            return true;
                        }
                        self.at = self.at.add(4);
                    }
                    // Some of them have been looked at before.
                    if are_any_of_four(last_four, &wanted) {
                        return true;
                    }
                } else {
                    while self.at != self.end {
                        if wanted(&*self.at) {
                            return true;
                        }
                        self.at = self.at.add(1);
                    }
                }
                if !self.enter_next_part() {
                    return false;
                }
            }
        }
    }
}

/// # Safety
/// There are four headers at `at`.
#[inline(always)]
unsafe fn are_any_of_four(at: *const ngx_table_elt_t, wanted: &impl Fn(&ngx_table_elt_t) -> bool) -> bool {
    // SAFETY: the caller's promise.
    let [a, b, c, d] = unsafe { &*at.cast::<[ngx_table_elt_t; 4]>() };
    wanted(a) || wanted(b) || wanted(c) || wanted(d)
}

/// What tells most names apart from those that are looked for.
#[derive(Clone, Copy)]
pub struct Sieve {
    /// The length of one name of less than sixteen bytes, and how it begins, in lower case.
    pub short: (usize, u8),
    /// Where the names of sixteen bytes or more have a `-`; both are less than sixteen.
    pub dashes: [usize; 2],
}

impl Sieve {
    /// # Safety
    /// A name has as many bytes as it says.
    #[inline(always)]
    unsafe fn lets_pass(&self, header: &ngx_table_elt_t) -> bool {
        if header.key.len < 16 {
            // SAFETY: the caller's promise.
            return header.key.len == self.short.0 && unsafe { *header.key.data } | 0x20 == self.short.1;
        }
        // SAFETY: the caller's promise.
        let is_dash = |at: usize| unsafe { *header.key.data.add(at) } == b'-';
        is_dash(self.dashes[0]) && is_dash(self.dashes[1])
    }
}

impl<'r> Elements<'r> {
    /// The next header that may have one of the names.
    #[inline(always)]
    pub fn sift(&mut self, sieve: Sieve) -> Option<NonNull<ngx_table_elt_t>> {
        // SAFETY: nginx's names are as long as they say.
        self.find(|header| unsafe { sieve.lets_pass(header.as_ref()) })
    }

    /// Whether a header may have one of the names.
    #[inline(always)]
    pub fn has_any(self, sieve: Sieve) -> bool {
        // SAFETY: nginx's names are as long as they say.
        self.has_wanted(|header| unsafe { sieve.lets_pass(header) })
    }
}

impl Iterator for Elements<'_> {
    type Item = NonNull<ngx_table_elt_t>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.at == self.end {
            if !self.enter_next_part() {
                return None;
            }
        }
        let header = NonNull::new(self.at);
        // SAFETY: `at` is before `end`.
        self.at = unsafe { self.at.add(1) };
        header
    }
}

/// The value of a header; it lives as long as the request that it came with.
///
/// # Safety
/// The header is one of a request that lives as long as `'r`.
#[inline]
pub unsafe fn value<'r>(header: &ngx_table_elt_t) -> &'r [u8] {
    // SAFETY: nginx keeps headers in the request's memory.
    unsafe { strings::slice(&header.value) }
}

/// The name of a header.
#[inline]
pub fn name(header: &ngx_table_elt_t) -> &[u8] {
    header.key.as_bytes()
}

/// Whether a header has a name, which is given in lower case.
#[inline]
pub fn has_name(header: &ngx_table_elt_t, lower: &[u8]) -> bool {
    header.key.len == lower.len() && name(header).eq_ignore_ascii_case(lower)
}

/// A response header. What it points to must outlive the responses that it is pushed to.
pub fn header(name: &'static str, value: &[u8]) -> ngx_table_elt_t {
    // SAFETY: all zero is valid, and what `next`, which nginx has since 1.23.0, must be.
    let mut header: ngx_table_elt_t = unsafe { std::mem::zeroed() };
    header.hash = 1;
    header.key = string(name.as_bytes());
    header.value = string(value);
    header
}
