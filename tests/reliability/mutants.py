# SPDX-License-Identifier: Apache-2.0
"""Runs the tests with each change that cargo mutants makes to the code, as scripts/soak mutants does.

Compiling takes cargo mutants much longer than testing. Here all changes are compiled into one copy of the code, and a variable of the
environment chooses the one that is in effect. A run without a change records which changes each test reaches, and each change is tried
on these tests alone, the fastest first, until one fails. What cannot be chosen at run time, such as a constant, is compiled alone.

    mutants.py --at DIRECTORY [--file GLOB]... [--jobs N] [--nginx PROGRAM --shipped MODULE]
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import time

import tree_sitter
import tree_sitter_rust

NOTICED, STALLED, MISSED, BROKEN = range(4)

# So that whatever a test has started ends with it, and a test with this process.
NAMESPACE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid() != 0:
    NAMESPACE += ["--user", "--map-current-user"]

# Where the choice is made, for all packages.
CHOICE = "policy/src/lib.rs"
CHOOSE = b"""
/// Whether a change is in effect.
#[doc(hidden)]
pub fn mutated(number: usize) -> bool {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};
    static CHOSEN: std::sync::LazyLock<usize> =
        std::sync::LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX));
    static REACHED: [AtomicBool; 20000] = [const { AtomicBool::new(false) }; 20000];
    static RECORD: std::sync::LazyLock<Option<std::fs::File>> = std::sync::LazyLock::new(|| {
        let name = std::env::var_os("MUTANTS_REACHED")?;
        std::fs::OpenOptions::new().append(true).create(true).open(name).ok()
    });
    if let Some(mut record) = RECORD.as_ref() {
        if !REACHED[number].swap(true, Ordering::Relaxed) {
            let _ = record.write_all(format!("{number}\\n").as_bytes());
        }
    }
    *CHOSEN == number
}
"""

# What the compiler says of a call where it needs a constant.
NOT_CONSTANT = {"E0015", "E0435"}

# What an endless loop may take.
MEMORY_KIB = 6 << 20

# What optimizes the tests as well as it pays, with all checks of a debug build.
PROFILE = {"CARGO_PROFILE_DEV_OPT_LEVEL": "1", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_TERM_COLOR": "never"}

# For one change, what compiles in a few seconds.
QUICKLY = [f"--config=profile.dev.package.{name}.opt-level=0" for name in ("cors-policy", "cors-cli", "ngx-http-cors")]


class Source:
    """A file as it is, and with all changes in it."""

    def __init__(self, path, function):
        self.bytes = path.read_bytes()
        self.function = function
        self.lines = [0]
        for line in self.bytes.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language())).parse(self.bytes)
        # By what they enclose, so that one can be in another.
        self.sites = collections.defaultdict(list)

    def at(self, position):
        start = self.lines[position["line"] - 1]
        line = self.bytes[start : self.lines[position["line"]]].decode()
        return start + len(line[: position["column"] - 1].encode())

    def range(self, mutant):
        return self.at(mutant["span"]["start"]), self.at(mutant["span"]["end"])

    def text(self, start, end):
        return self.bytes[start:end].decode()

    def node(self, start, end, *kinds):
        node = self.tree.root_node.descendant_for_byte_range(start, end)
        while node and node.type not in kinds:
            node = node.parent
        return node

    def add(self, number, mutant):
        """Says whether the change can be chosen at run time."""
        start, end = self.range(mutant)
        new = mutant["replacement"]
        genre = mutant["genre"]
        chosen = f"{self.function}({number})"
        if is_constant(self.node(start, end, "function_item", "const_item", "static_item", "array_type")):
            return False
        if genre == "FnValue":
            if "impl " in (mutant["function"]["return_type"] or ""):
                return False
            self.sites[start, end].append((number, f"if {chosen} {{ return {new}; }}", "", ""))
        elif genre in ("BinaryOperator", "UnaryOperator"):
            node = self.node(start, end, "binary_expression", "compound_assignment_expr", "unary_expression")
            if not node:
                return False
            assert node.start_byte <= start and end <= node.end_byte
            changed = self.text(node.start_byte, start) + new + self.text(end, node.end_byte)
            self.sites[node.start_byte, node.end_byte].append((number, f"(if {chosen} {{ ({changed}) }}", "else { (", ") })"))
        elif genre == "MatchArmGuard":
            joined = f"({chosen} ||" if new == "true" else f"(!{chosen} &&"
            self.sites[start, end].append((number, joined, "(", "))"))
        elif genre == "MatchArm":
            arm = self.node(start, end, "match_arm")
            pattern = arm.child_by_field_name("pattern")
            # With a condition, an arm does not count as one that makes the match complete.
            if not any(other.child_by_field_name("pattern").text == b"_" for other in arm.parent.named_children if other.type == "match_arm"):
                return False
            guard = pattern.child_by_field_name("condition")
            if guard:
                self.sites[guard.start_byte, guard.end_byte].append((number, f"(!{chosen} &&", "(", "))"))
            else:
                self.sites[pattern.end_byte, pattern.end_byte].append((number, f" if !{chosen}", "", ""))
        else:
            assert genre == "StructField", genre
            # The range may include a comma.
            field = self.node(start, start + 1, "field_initializer", "shorthand_field_initializer")
            base = next((child for child in field.parent.children if child.type == "base_field_initializer"), None)
            if not base:
                return False
            base = self.text(base.start_byte, base.end_byte).removeprefix("..")
            name, value = field.child_by_field_name("field"), field.child_by_field_name("value")
            name, value = (name, value) if value else (field, field)
            name = self.text(name.start_byte, name.end_byte)
            before = f"{name}: " if value == field else ""
            self.sites[value.start_byte, value.end_byte].append((number, f"{before}(if {chosen} {{ ({base}).{name} }}", "else { (", ") })"))
        return True

    def render(self, without):
        """The text with all changes but those, and where in it each of them is."""
        order = sorted(self.sites, key=lambda site: (site[0], -site[1]))
        places, out, length = {}, [], 0

        def emit(text):
            nonlocal length
            if isinstance(text, str):
                text = text.encode()
            out.append(text)
            length += len(text)

        def between(start, end):
            nonlocal order
            while order and order[0][0] >= start and order[0][1] <= end:
                site = order.pop(0)
                emit(self.bytes[start : site[0]])
                here = [change for change in self.sites[site] if change[0] not in without]
                for number, before, opening, _ in here:
                    begin = length
                    emit(before)
                    places[number] = (begin, length)
                    emit(opening)
                between(*site)
                for *_, closing in reversed(here):
                    emit(closing)
                start = site[1]
            emit(self.bytes[start:end])

        between(0, len(self.bytes))
        assert not order
        return b"".join(out), places


def is_constant(item):
    if item is None or item.type != "function_item":
        return item is not None
    modifiers = next((child for child in item.children if child.type == "function_modifiers"), None)
    return bool(modifiers) and b"const" in modifiers.text.split()


def cargo(packages, *arguments, tree, target, **options):
    return subprocess.run(
        ["cargo", *arguments, f"--target-dir={target}", "--message-format=json", *(f"--package={name}" for name in packages)],
        cwd=tree, env={**os.environ, **PROFILE}, stdout=subprocess.PIPE, text=True, **options,
    )


def messages(result):
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def compile_all(code, tree, sources, target):
    """Leaves out what does not compile; returns that, and what cannot be chosen at run time. The compiler tells of some mistakes only
    when there are no others."""
    broken, alone = set(), set()
    while True:
        places = {}
        for name, source in sources.items():
            text, places[name] = source.render(broken | alone)
            (tree / name).write_bytes(text + (CHOOSE if name == CHOICE else b""))
        result = cargo(code.packages, *code.check, tree=tree, target=target, stderr=subprocess.DEVNULL)
        if result.returncode == 0:
            return broken, alone
        before = len(broken) + len(alone)
        for message in messages(result):
            message = message.get("message")
            if not isinstance(message, dict) or message["level"] != "error" or not message["spans"]:
                continue
            found, is_certain = at_fault(message["spans"], places)
            if not found:
                sys.exit("mutants: no change is the cause of this:\n" + message["rendered"])
            is_constant = (message["code"] or {}).get("code") in NOT_CONSTANT
            (broken if is_certain and not is_constant else alone).update(found)
        if len(broken) + len(alone) == before:
            sys.exit("mutants: cargo check has failed")


def at_fault(spans, places):
    """The changes that an error is in, and whether they would not compile alone either."""
    spans = [(span["file_name"], span["byte_start"], span["byte_end"], span["is_primary"]) for span in spans]
    # An error about two branches is in the one that the compiler points to besides.
    for wanted in (True, False):
        found = {
            number
            for name, start, end, is_primary in spans
            if is_primary == wanted
            for number, (begin, stop) in places.get(name, {}).items()
            if begin <= start and end <= stop
        }
        if found:
            return found, wanted
    # The whole of an `if`.
    found = [
        (end - start, number)
        for name, start, end, _ in spans
        for number, (begin, stop) in places.get(name, {}).items()
        if start <= begin <= start + 1 and stop <= end
    ]
    return {number for size, number in found if size == min(found)[0]}, False


class Test:
    """What a change may fail."""

    def __init__(self, name, package, command, directory, **environment):
        self.name, self.package, self.command, self.directory, self.environment = name, package, command, directory, environment
        self.seconds = 0.0
        self.reaches = frozenset()

    def run(self, limit, **environment):
        """Whether it passes; None if it does not end."""
        with tempfile.TemporaryDirectory(prefix="mutant-") as temporary:
            # For nginx's workers.
            os.chmod(temporary, 0o755)
            process = subprocess.Popen(
                [*NAMESPACE, "sh", "-c", f'ulimit -d {MEMORY_KIB}; exec "$@"', "sh", *self.command], cwd=self.directory,
                env={**os.environ, "TMPDIR": temporary, **self.environment, **environment},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            try:
                return process.wait(limit) == 0
            except subprocess.TimeoutExpired:
                return None
            finally:
                process.kill()
                process.wait()

    def measure(self, record):
        """Whether it passes without a change."""
        begin = time.monotonic()
        passed = self.run(600, MUTANTS_REACHED=str(record))
        self.seconds = time.monotonic() - begin
        if record.exists():
            self.reaches = frozenset(map(int, record.read_text().split()))
        return passed

    def outcome(self, **environment):
        passed = self.run(5 + 10 * self.seconds, **environment)
        return MISSED if passed else STALLED if passed is None else NOTICED


class Crates:
    """Crates with tests of their own."""

    packages = {"cors-policy": "policy", "cors-cli": "cli"}
    check = ("check", "--tests")
    build = ("test", "--no-run")

    def tests(self, tree, result, whole):
        """The tests, or the programs that run them."""
        for message in messages(result):
            if message.get("reason") != "compiler-artifact" or not message.get("executable") or not message["profile"]["test"]:
                continue
            program = message["executable"]
            directory = pathlib.Path(message["manifest_path"]).parent
            package = next(name for name, folder in self.packages.items() if tree / folder == directory)
            if whole:
                yield Test(program, package, ["bash", "-c", UP_TO_A_FAILED_TEST, "bash", program], directory)
                continue
            listed = subprocess.run([program, "--list", "--format=terse"], capture_output=True, text=True, check=True).stdout
            for line in listed.splitlines():
                name, _, kind = line.rpartition(": ")
                if kind == "test":
                    yield Test(name, package, [program, "--exact", name, "--test-threads=1"], directory)


class Module:
    """The module, with tests that start nginx."""

    packages = {"ngx-http-cors": "."}
    check = ("check", "--no-default-features", "--features=fault-injection")
    build = ("build", "--no-default-features", "--features=fault-injection")

    def __init__(self, nginx, shipped):
        self.nginx, self.shipped = nginx, shipped

    def tests(self, tree, result, whole):
        module = next(
            name
            for message in messages(result)
            if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "ngx_http_cors_module"
            for name in message["filenames"]
        )
        (package,) = self.packages
        yield Test(
            "the model", package,
            [sys.executable, "tests/model/run.py", "--nginx", self.nginx, "--module", module, "--configurations=60", "--seed=1"], tree,
        )
        for path in sorted([*tree.glob("tests/*.t"), *tree.glob("tests/reliability/*.t")]):
            name = str(path.relative_to(tree))
            # What is about the source as it is written.
            if name == "tests/floors.t":
                continue
            yield Test(
                name, package, ["bash", "-o", "pipefail", "-c", UP_TO_A_FAILURE, "bash", name], tree,
                TEST_NGINX_BINARY=self.nginx, TEST_NGINX_GLOBALS=f"load_module {module};", TEST_CORS_SHIPPED=self.shipped,
            )


# Changes that fail more than one test are many. What still runs ends with the shell.
UP_TO_A_FAILED_TEST = 'awk "/FAILED$/ { exit } /^test result: ok/ { passed = 1; exit } END { exit !passed }" < <("$1")'
UP_TO_A_FAILURE = 'perl "$1" | awk \'/^not ok/ { exit 1 }\''


class Alone:
    """A copy of the code, for one change at a time."""

    def __init__(self, code, at, job, tests):
        self.code, self.tree, self.target = code, copy(at / f"tree-{job}"), at / f"target-{job}"
        self.seconds = {test.name: test.seconds for test in tests}
        if not self.target.exists():
            subprocess.run(["cp", "-a", str(at / "target"), str(self.target)], check=True)

    def outcome(self, mutant):
        path = self.tree / mutant["file"]
        before = path.read_bytes()
        start, end = Source(path, "").range(mutant)
        path.write_bytes(before[:start] + mutant["replacement"].encode() + before[end:])
        try:
            try:
                result = cargo([mutant["package"]], *self.code.build, *QUICKLY, tree=self.tree, target=self.target, timeout=300,
                               stderr=subprocess.DEVNULL)
            except subprocess.TimeoutExpired:
                # What the compiler computes does not end either.
                return STALLED
            if result.returncode:
                return BROKEN
            tests = list(self.code.tests(self.tree, result, whole=True))
            for test in tests:
                test.seconds = self.seconds.get(test.name, 10)
            return first_outcome(sorted(tests, key=lambda test: test.seconds))
        finally:
            path.write_bytes(before)


def first_outcome(tests, **environment):
    for test in tests:
        outcome = test.outcome(**environment)
        if outcome != MISSED:
            return outcome
    return MISSED


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--at", type=pathlib.Path, required=True, help="where the changed code and what is compiled of it are kept")
    parser.add_argument("--cargo-mutants", default="cargo-mutants", help="the program")
    parser.add_argument("--file", action="append", default=[], help="only changes in such files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--nginx", help="change the module instead of policy/ and cli/, and try it in this nginx")
    parser.add_argument("--shipped", help="the module that others get")
    arguments = parser.parse_args()

    code = Module(arguments.nginx, arguments.shipped) if arguments.nginx else Crates()
    command = [arguments.cargo_mutants, "mutants", "--config=mutants.toml", "--list", "--json", *(f"--package={name}" for name in code.packages)]
    mutants = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    if arguments.file:
        mutants = [mutant for mutant in mutants if any(fnmatch.fnmatch(mutant["file"], wanted) for wanted in arguments.file)]
    at = arguments.at.resolve()
    tree, target = copy(at / "tree"), at / "target"
    shutil.rmtree(at / "reached", ignore_errors=True)
    (at / "reached").mkdir()

    sources = {}
    for name in {CHOICE, *(mutant["file"] for mutant in mutants)}:
        sources[name] = Source(tree / name, "crate::mutated" if name.startswith("policy/") else "cors_policy::mutated")
    alone = {number for number, mutant in enumerate(mutants) if not sources[mutant["file"]].add(number, mutant)}
    broken, constant = compile_all(code, tree, sources, target)
    alone |= constant
    chosen = [number for number in range(len(mutants)) if number not in broken | alone]
    say(f"{len(mutants)} changes, {len(broken)} of them do not compile, {len(alone)} are compiled alone")

    tests = list(code.tests(tree, cargo(code.packages, *code.build, tree=tree, target=target, check=True), whole=False))
    outcomes = collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        passed = pool.map(lambda number: tests[number].measure(at / "reached" / str(number)), range(len(tests)))
        failed = [test.name for test, passed in zip(tests, passed) if not passed]
        if failed:
            sys.exit(f"mutants: without a change, these fail: {', '.join(failed)}")
        tests.sort(key=lambda test: test.seconds)
        say(f"{len(tests)} tests, {sum(test.seconds for test in tests):.0f} s")

        def outcome(number):
            package = mutants[number]["package"]
            return first_outcome([test for test in tests if test.package == package and number in test.reaches], MUTANT=str(number))

        for number, result in zip(chosen, pool.map(outcome, chosen)):
            outcomes[result].append(number)
            if result == MISSED:
                say(f"Missed: {mutants[number]['name']}")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        copies = queue.SimpleQueue()
        for job in range(os.cpu_count()):
            copies.put(Alone(code, at, job, tests))

        def outcome_alone(number):
            place = copies.get()
            try:
                return place.outcome(mutants[number])
            finally:
                copies.put(place)

        for number, result in zip(sorted(alone), pool.map(outcome_alone, sorted(alone))):
            outcomes[result].append(number)
            if result == MISSED:
                say(f"Missed: {mutants[number]['name']}")

    missed = sorted(mutants[number]["name"] for number in outcomes[MISSED])
    (at / "missed.txt").write_text("".join(name + "\n" for name in missed))
    print(*missed, sep="\n")
    print(f"Mutants: {len(outcomes[NOTICED])} noticed, {len(outcomes[STALLED])} do not end, {len(missed)} missed, "
          f"{len(broken) + len(outcomes[BROKEN])} do not compile")
    sys.exit(1 if missed else 0)


def copy(tree):
    """The files of the repository, and no others."""
    shutil.rmtree(tree, ignore_errors=True)
    for name in subprocess.run(["git", "ls-files", "-z"], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")[:-1]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, tree / name)
    return tree


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
