# SPDX-License-Identifier: Apache-2.0
"""Keeps a corpus in one text file, an input on each line, and lays it out as the fuzzer wants it.

    corpus.py unpack FILE FOLDER
    corpus.py pack FOLDER FILE
"""

import hashlib
import pathlib
import sys


def unpack(file, folder):
    for line in pathlib.Path(file).read_bytes().splitlines():
        data = line.decode("unicode_escape").encode("latin-1")
        (pathlib.Path(folder) / hashlib.sha1(data).hexdigest()).write_bytes(data)


# Every suffix of the public suffix list is a branch of its own: of that many inputs, evenly chosen ones have to do.
MOST = 400


def pack(folder, file):
    inputs = sorted((path.read_bytes() for path in pathlib.Path(folder).iterdir()), key=lambda data: (len(data), data))
    inputs = sorted(inputs[:: -(-len(inputs) // MOST) or 1])
    lines = [data.decode("latin-1").encode("unicode_escape") for data in inputs]
    pathlib.Path(file).write_bytes(b"".join(line + b"\n" for line in lines))


if __name__ == "__main__":
    {"unpack": unpack, "pack": pack}[sys.argv[1]](*sys.argv[2:])
