// SPDX-License-Identifier: Apache-2.0
//! Values of others in the log.

use std::fmt;

/// How much of a value is written.
const LONGEST: usize = 256;

/// A value that a client or an upstream sent, so that it cannot break out of its quotes or its line, nor fill the log.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &b in self.0.iter().take(LONGEST) {
            match b {
                b' '..=b'~' if b != b'"' && b != b'\\' => write!(f, "{}", char::from(b))?,
                _ => write!(f, "\\x{b:02X}")?,
            }
        }
        f.write_str(if self.0.len() > LONGEST { "..." } else { "" })
    }
}
