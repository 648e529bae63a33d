//! Reading what is named on the command line.

use std::io::Read;

use crate::Failure;

/// The largest input, in bytes. A configuration of 10,000 servers has about 5 MB.
const LARGEST: u64 = 256 << 20;

/// The bytes of a file, or of the standard input for `-`.
pub fn read_bytes(path: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = match path {
        "-" => std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes),
        _ => std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
    };
    result.map_err(|error| format!("{path}: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{path}: is longer than {LARGEST} bytes"));
    }
    Ok(bytes)
}

/// The text of a file, or of the standard input for `-`.
pub fn read(path: &str) -> Result<String, Failure> {
    String::from_utf8(read_bytes(path)?).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        format!("{path}: is not UTF-8 in line {line}")
    })
}
