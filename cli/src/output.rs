// SPDX-License-Identifier: Apache-2.0
//! What the command prints on the standard output.

use std::io::{self, ErrorKind, Write};
use std::{fmt, process};

/// Prints a line, like `println!`. If it cannot be written, that ends the command, which does not panic.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::check(|out| writeln!(out, $($text)*))
    };
}
pub(crate) use say;

/// Prints bytes as they are.
pub fn bytes(bytes: &[u8]) {
    check(|out| out.write_all(bytes));
}

/// Prints a text as it is.
pub fn text(text: impl fmt::Display) {
    check(|out| write!(out, "{text}"));
}

/// Writes, and ends the command if that fails: without a word if nobody reads any more, as in `cors explain | head`.
pub fn check(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    if let Err(error) = write(&mut io::stdout().lock()) {
        if error.kind() != ErrorKind::BrokenPipe {
            eprintln!("cors: the standard output cannot be written: {error}");
        }
        process::exit(2);
    }
}
