// SPDX-License-Identifier: Apache-2.0
//! Reading what is named on the command line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::Failure;

/// The largest input, in bytes: that of a file of origins. A configuration of 10,000 servers has about 5 MB.
const LARGEST: u64 = 256 << 20;
/// The same in words.
pub const LARGEST_TEXT: &str = "256 MiB";

/// The bytes of a file; `None` if there are too many.
pub fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_all(File::open(path)?, LARGEST)
}

fn read_all(from: impl Read, largest: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(largest + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= largest))
}

/// The bytes of a file, or of the standard input for `-`.
pub fn read_bytes(path: &str) -> Result<Vec<u8>, Failure> {
    let result = match path {
        "-" => read_all(io::stdin().lock(), LARGEST),
        _ => read_file(Path::new(path)),
    };
    let bytes = result.map_err(|error| format!("{path}: {error}"))?;
    bytes.ok_or_else(|| format!("{path}: is larger than {LARGEST_TEXT}"))
}

/// The text of a file, or of the standard input for `-`.
pub fn read(path: &str) -> Result<String, Failure> {
    String::from_utf8(read_bytes(path)?).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        format!("{path}: is not UTF-8 in line {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_nothing_is_read() {
        for (bytes, is_read) in [(0, true), (9, true), (10, true), (11, false), (1000, false)] {
            let all = read_all(io::repeat(b'a').take(bytes), 10).unwrap();
            assert_eq!(all, is_read.then(|| vec![b'a'; bytes as usize]), "{bytes}");
        }
    }
}
