//! The header fields of a request.

use super::header_list::{self, Elements, Names};
use super::request::Request;

impl<'r> Request<'r> {
    /// Calls `found` with the position and the value of each field that has one of the `names`, in the order of the request.
    #[inline(always)]
    pub fn each_field<const N: usize>(&self, names: &'static Names<N>, mut found: impl FnMut(usize, &'r [u8])) {
        // SAFETY: nginx has filled the list, and changes it only in calls that take `&mut self`.
        let mut headers: Elements<'r> = unsafe { Elements::of(&self.fields().headers_in.headers) };
        while let Some(header) = headers.find_wanted(|header| names.may_have(header)) {
            if let Some(position) = names.position(header) {
                // SAFETY: the header is this request's.
                found(position, unsafe { header_list::value(header) });
            }
        }
    }

    /// The values of the fields that have the name at `position` of the `names`.
    pub fn values_in<const N: usize>(
        &self,
        names: &'static Names<N>,
        position: usize,
    ) -> impl Iterator<Item = &'r [u8]> + Clone + use<'r, N> {
        // SAFETY: nginx has filled the list, and adds nothing to it later.
        let headers: Elements<'r> = unsafe { Elements::of(&self.fields().headers_in.headers) };
        // SAFETY: the elements are those of a list that lives as long as the request.
        let headers = headers.map(|header| unsafe { header.as_ref() });
        let headers = headers.filter(move |header| names.position(header) == Some(position));
        // SAFETY: the headers are this request's.
        headers.map(|header| unsafe { header_list::value(header) })
    }

    /// Whether a body comes with the request.
    #[inline]
    pub fn has_body(&self) -> bool {
        let headers = &self.fields().headers_in;
        headers.content_length_n > 0 || super::layout::CHUNKED.is_set(headers)
    }
}
