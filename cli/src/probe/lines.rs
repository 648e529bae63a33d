// SPDX-License-Identifier: Apache-2.0
//! The header lines of a request for libcurl. The crate takes them only as UTF-8, but their values are bytes.

use std::ffi::CString;
use std::ptr;

use curl::easy::Easy2;
use curl_sys::{curl_easy_setopt, curl_slist, curl_slist_append, curl_slist_free_all, CURLE_OK, CURLOPT_HTTPHEADER};

/// A list of lines. It lives longer than the transfer that sends them.
pub struct Lines(*mut curl_slist);

impl Lines {
    /// Copies the lines; `None` if one contains a zero byte, or if memory runs out.
    pub fn new(lines: impl IntoIterator<Item = Vec<u8>>) -> Option<Lines> {
        let mut list = Lines(ptr::null_mut());
        for line in lines {
            let line = CString::new(line).ok()?;
            // SAFETY: the list is empty or was made by this function, which copies the string.
            let longer = unsafe { curl_slist_append(list.0, line.as_ptr()) };
            if longer.is_null() {
                return None;
            }
            list.0 = longer;
        }
        Some(list)
    }

    /// Lets a transfer send the lines; whether libcurl accepts them.
    pub fn give_to<H>(&self, easy: &Easy2<H>) -> bool {
        // SAFETY: the handle is one of libcurl's, and this option takes a list, which the caller keeps.
        unsafe { curl_easy_setopt(easy.raw(), CURLOPT_HTTPHEADER, self.0) == CURLE_OK }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: nobody else frees the list, and there may be none.
        unsafe { curl_slist_free_all(self.0) }
    }
}
