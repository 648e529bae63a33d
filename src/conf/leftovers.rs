// SPDX-License-Identifier: Apache-2.0
//! Lines of other modules that a policy makes superfluous: `add_header Access-Control-Allow-Origin` and the like. And reports that
//! anyone can reach, because no line of other modules restricts access to them.
//!
//! What other modules have read is in private structures that differ between versions of nginx, and nginx does not tell a module
//! about directives of others. So this reads the configuration files once more. It only looks for what to warn about: if there
//! is anything that it cannot make sense of, it finds nothing.

use std::fs;
use std::path::{Path, PathBuf};

use cors_policy::list;

/// Superfluous lines of one level.
pub struct Leftovers {
    /// The file that contains the first of them.
    pub file: String,
    /// Its line.
    pub line: usize,
    /// The directive and the header of the first.
    pub first: String,
    /// Whether its line does more.
    pub is_part: bool,
    /// The lines of the others.
    pub others: Vec<usize>,
}

/// What there is to warn about.
#[derive(Default)]
pub struct Found {
    /// Superfluous lines.
    pub leftovers: Vec<Leftovers>,
    /// The file and the line of each `cors_report` that anyone can reach.
    pub open_reports: Vec<(String, usize)>,
}

/// How many `include` may be within one another.
const DEEPEST: usize = 16;

/// The largest file that is read: a larger one has been generated.
const LARGEST: u64 = 8 << 20;

/// How many words of a directive are looked at.
const MOST_WORDS: usize = 64;

/// Finds it in the configuration that `file` contains or includes; relative names are relative to `prefix`.
pub fn find(file: &Path, prefix: &Path) -> Found {
    let mut search = Search { prefix, found: Found::default() };
    let mut top = Level::default();
    if search.read_file(file, &mut top, 0).is_none() {
        return Found::default();
    }
    search.found.leftovers.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    search.found
}

struct Search<'a> {
    prefix: &'a Path,
    found: Found,
}

/// What decides whether a level has a policy that replaces fields, and whether anyone can reach it.
#[derive(Clone, Default)]
struct Settings {
    has_origins: bool,
    enforces: bool,
    is_off: bool,
    keeps_fields: bool,
    leaves_preflights: bool,
    is_dry_run: bool,
    bypasses: bool,
    /// Whether `return` in an `if`, which only some requests get, may be what keeps others out.
    is_guarded: bool,
    is_internal: bool,
    access: Access,
    /// Whether `access` is of this level: its first line replaces what is inherited.
    has_own_access: bool,
    /// `auth_basic` and the like: the directives that are on.
    authenticates: Vec<Vec<u8>>,
    /// `satisfy any`
    satisfies_any: bool,
    /// Whether all addresses that the server listens on are this machine's own; `None` if none is given.
    is_local: Option<bool>,
}

/// What the `allow` and `deny` of a level do with addresses that they do not name.
#[derive(Clone, Copy, Default, PartialEq)]
enum Access {
    #[default]
    Undecided,
    Allowed,
    Denied,
}

impl Settings {
    /// What a level within this one begins with.
    fn inherited(&self) -> Self {
        Self { has_own_access: false, ..self.clone() }
    }

    fn note(&mut self, directive: &[u8], value: &[u8]) {
        let is_on = value.eq_ignore_ascii_case(b"on");
        match directive {
            b"cors_allow_origin" | b"cors_allow_origin_regex" | b"cors_allow_origin_file" => self.has_origins = true,
            b"cors_enforce" => self.enforces = is_on,
            b"cors" => self.is_off = !is_on,
            b"cors_override" => self.keeps_fields = !is_on,
            b"cors_preflight" => self.leaves_preflights = !is_on,
            b"cors_dry_run" => self.is_dry_run = is_on,
            b"cors_bypass" => self.bypasses = !value.is_empty(),
            b"internal" => self.is_internal = true,
            b"allow" => self.note_access(value, Access::Allowed),
            b"deny" => self.note_access(value, Access::Denied),
            b"satisfy" => self.satisfies_any = value == b"any",
            b"auth_basic" | b"auth_request" | b"auth_jwt" | b"auth_oidc" => {
                self.authenticate(directive, value != b"off")
            }
            // Requests without a certificate pass `optional`.
            b"ssl_verify_client" => self.authenticate(directive, value == b"on"),
            b"listen" => self.is_local = Some(self.is_local.unwrap_or(true) && is_of_this_machine(value)),
            _ if directive.starts_with(b"access_by_lua") => self.authenticate(directive, true),
            _ => {}
        }
    }

    fn note_access(&mut self, address: &[u8], access: Access) {
        if !self.has_own_access {
            self.has_own_access = true;
            self.access = Access::Undecided;
        }
        // The first line that names an address decides.
        let is_all = matches!(address, b"all" | b"0.0.0.0/0") || (access == Access::Allowed && address == b"::/0");
        if self.access == Access::Undecided && is_all {
            self.access = access;
        }
    }

    fn authenticate(&mut self, directive: &[u8], is_on: bool) {
        self.authenticates.retain(|other| other != directive);
        if is_on {
            self.authenticates.push(directive.to_vec());
        }
    }

    /// Whether any client gets a response.
    fn is_open(&self) -> bool {
        let is_passed = match self.access {
            Access::Denied => false,
            Access::Allowed if self.satisfies_any => true,
            _ => self.authenticates.is_empty(),
        };
        is_passed && !self.is_internal && !self.is_guarded && self.is_local != Some(true)
    }

    fn replaces_fields(&self) -> bool {
        let is_active = !self.is_off && (self.has_origins || self.enforces);
        is_active && !self.keeps_fields && !self.leaves_preflights && !self.is_dry_run && !self.bypasses
    }
}

/// Whether an address of `listen` is one that other machines cannot reach.
fn is_of_this_machine(address: &[u8]) -> bool {
    let is_number = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b':');
    ["unix:", "localhost:", "[::1]"].iter().any(|start| address.starts_with(start.as_bytes()))
        || address == b"localhost"
        || (address.starts_with(b"127.") && address.iter().all(is_number))
}

/// A line of another module.
struct Superfluous {
    file: String,
    line: usize,
    what: What,
}

/// What is superfluous in a line.
struct What {
    /// The directive and the header.
    text: String,
    /// Whether the line does something else as well.
    is_part: bool,
}

#[derive(Default)]
struct Level {
    is_location: bool,
    settings: Settings,
    /// Lines of others.
    lines: Vec<Superfluous>,
    /// Whether a level within this one, which may inherit its lines, does not replace fields.
    is_left_within: bool,
    /// The file and the line of a `cors_report`.
    report: Option<(String, usize)>,
}

impl Search<'_> {
    fn read_file(&mut self, file: &Path, level: &mut Level, depth: usize) -> Option<()> {
        let metadata = fs::metadata(file).ok()?;
        // Not a pipe: what has been read from it is gone.
        if depth > DEEPEST || !metadata.is_file() || metadata.len() > LARGEST {
            return None;
        }
        let text = fs::read(file).ok()?;
        let mut reader = Reader { text: &text, at: 0, line: 1 };
        match self.read_level(&mut reader, file, level, depth)? {
            End::File => Some(()),
            _ => None,
        }
    }

    /// Reads the directives of a level up to its end. The settings of a level count for all of its lines, so they are complete
    /// before the blocks within are searched; for blocks of an included file, those before the `include` count.
    fn read_level(&mut self, reader: &mut Reader<'_>, file: &Path, level: &mut Level, depth: usize) -> Option<End> {
        let mut blocks = Vec::new();
        let end = loop {
            let (words, end) = reader.directive()?;
            match (end, words.first()) {
                (End::Semicolon, Some(name)) if name == b"include" => {
                    for included in self.files(words.get(1)?)? {
                        self.read_file(&included, level, depth + 1)?;
                    }
                }
                (End::Semicolon, Some(name)) => {
                    level.settings.note(name, words.get(1).map_or(&b""[..], Vec::as_slice));
                    if name == b"cors_report" {
                        level.report = Some((file.display().to_string(), reader.line));
                    }
                    if let Some(what) = superfluous(&words) {
                        level.lines.push(Superfluous { file: file.display().to_string(), line: reader.line, what });
                    }
                }
                (End::Open, Some(name)) => {
                    let is_level =
                        matches!(name.as_slice(), b"http" | b"server" | b"location" | b"if" | b"limit_except");
                    if name.ends_with(b"_by_lua_block") {
                        level.settings.note(name, b"");
                        reader.skip_lua()?;
                    } else {
                        let start = (reader.at, reader.line, name == b"location");
                        let returns = reader.skip_block()?;
                        level.settings.is_guarded |= returns && name == b"if";
                        if is_level {
                            blocks.push(start);
                        }
                    }
                }
                (End::Close | End::File, None) => break end,
                _ => return None,
            }
        };
        for (at, line, is_location) in blocks {
            let mut inner = Level { is_location, settings: level.settings.inherited(), ..Level::default() };
            // An `if` of a location counts for that location alone.
            inner.settings.is_guarded &= !level.is_location;
            let mut reader = Reader { text: reader.text, at, line };
            self.read_level(&mut reader, file, &mut inner, depth)?;
            level.is_left_within |= inner.is_left_within || !inner.settings.replaces_fields();
            self.add(inner);
        }
        Some(end)
    }

    fn add(&mut self, level: Level) {
        if level.settings.is_open() {
            self.found.open_reports.extend(level.report);
        }
        if !level.settings.replaces_fields() || level.is_left_within {
            return;
        }
        let (parts, whole): (Vec<_>, Vec<_>) = level.lines.into_iter().partition(|line| line.what.is_part);
        for Superfluous { file, line, what: What { text: first, is_part } } in parts {
            self.found.leftovers.push(Leftovers { file, line, first, is_part, others: Vec::new() });
        }
        let mut whole = whole.into_iter();
        if let Some(Superfluous { file, line, what: What { text: first, is_part } }) = whole.next() {
            let mut others: Vec<_> = whole.filter(|other| other.file == file).map(|other| other.line).collect();
            others.retain(|other| *other != line);
            others.dedup();
            self.found.leftovers.push(Leftovers { file, line, first, is_part, others });
        }
    }

    /// The files that an `include` names; `*` stands for any characters of the last part of a path.
    fn files(&self, pattern: &[u8]) -> Option<Vec<PathBuf>> {
        let path = self.prefix.join(std::str::from_utf8(pattern).ok()?);
        let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
        if folder.to_str()?.contains(['*', '?', '[']) || name.contains(['?', '[']) {
            return None;
        }
        if !name.contains('*') {
            return Some(vec![path]);
        }
        let Ok(entries) = fs::read_dir(folder) else { return Some(Vec::new()) };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut files: Vec<_> = names.filter(|entry| matches(name, entry)).map(|entry| folder.join(entry)).collect();
        files.sort();
        Some(files)
    }
}

/// Whether `name` is one that the `pattern` of an `include` with `*` stands for.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    // As in a shell, `*` does not stand for a dot at the beginning.
    rest.ends_with(last) && (pattern.starts_with('.') || !name.starts_with('.'))
}

/// What is superfluous in a directive, if it sets or removes a header that a policy writes.
fn superfluous(words: &[Vec<u8>]) -> Option<What> {
    let (name, arguments) = words.split_first()?;
    let what = |header: &[u8], is_part| {
        let header: String = header.iter().map(|&b| char::from(b)).take(64).collect();
        What { text: format!("{} {header}", String::from_utf8_lossy(name)), is_part }
    };
    let is_cors = |header: &[u8]| header.get(..15).is_some_and(|start| start.eq_ignore_ascii_case(b"access-control-"));
    let is_vary = |header: &[u8], value: &[u8]| {
        let of_preflights: [&[u8]; 3] =
            [b"origin", b"access-control-request-method", b"access-control-request-headers"];
        let is_ours = |word: &[u8]| of_preflights.iter().any(|name| word.eq_ignore_ascii_case(name));
        header.eq_ignore_ascii_case(b"vary") && list::elements(value).count() > 0 && list::elements(value).all(is_ours)
    };
    let header = arguments.first()?;
    match name.as_slice() {
        b"add_header" => {
            let value = arguments.get(1).map_or(&b""[..], Vec::as_slice);
            (is_cors(header) || is_vary(header, value)).then(|| what(header, false))
        }
        b"more_set_headers" | b"more_clear_headers" => {
            let is_ours = |field: &Vec<u8>| {
                let mut parts = field.splitn(2, |&b| b == b':');
                let (header, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                is_cors(list::trim(header)) || (name == b"more_set_headers" && is_vary(list::trim(header), value))
            };
            let field = arguments.iter().find(|field| is_ours(field))?;
            Some(what(list::trim(field.split(|&b| b == b':').next()?), !arguments.iter().all(is_ours)))
        }
        b"proxy_hide_header"
        | b"fastcgi_hide_header"
        | b"uwsgi_hide_header"
        | b"scgi_hide_header"
        | b"grpc_hide_header" => is_cors(header).then(|| what(header, false)),
        _ => None,
    }
}

/// What ends a directive.
#[derive(Clone, Copy)]
enum End {
    Semicolon,
    Open,
    Close,
    File,
}

/// Reads words as nginx does (`ngx_conf_read_token` of src/core/ngx_conf_file.c).
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let b = self.peek()?;
        self.at += 1;
        self.line += usize::from(b == b'\n');
        Some(b)
    }

    /// The first words of the next directive, and what ends it.
    fn directive(&mut self) -> Option<(Vec<Vec<u8>>, End)> {
        let mut words = Vec::new();
        loop {
            let Some(b) = self.peek() else { return words.is_empty().then_some((words, End::File)) };
            match b {
                b' ' | b'\t' | b'\r' | b'\n' => drop(self.take()),
                b'#' => {
                    while self.peek().is_some_and(|b| b != b'\n') {
                        self.take();
                    }
                }
                b';' | b'{' | b'}' => {
                    self.take();
                    let end = match b {
                        b';' => End::Semicolon,
                        b'{' => End::Open,
                        _ => End::Close,
                    };
                    return Some((words, end));
                }
                _ => {
                    let word = if matches!(b, b'"' | b'\'') { self.quoted()? } else { self.word()? };
                    if words.len() < MOST_WORDS {
                        words.push(word);
                    }
                }
            }
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let quote = self.take()?;
        let mut word = Vec::new();
        loop {
            match self.take()? {
                b if b == quote => return Some(word),
                b'\\' => word.push(self.take()?),
                b => word.push(b),
            }
        }
    }

    fn word(&mut self) -> Option<Vec<u8>> {
        let mut word = Vec::new();
        loop {
            let b = self.peek()?;
            match b {
                b' ' | b'\t' | b'\r' | b'\n' | b';' => return Some(word),
                b'{' if word.last() != Some(&b'$') => return Some(word),
                _ => {}
            }
            self.take();
            word.push(if b == b'\\' { self.take()? } else { b });
        }
    }

    /// Skips a block whose `{` has been read, and says whether it contains `return`.
    fn skip_block(&mut self) -> Option<bool> {
        let mut returns = false;
        let mut depth = 1;
        while depth > 0 {
            match self.directive()? {
                (words, End::Open) if words.first().is_some_and(|name| name.ends_with(b"_by_lua_block")) => {
                    self.skip_lua()?
                }
                (_, End::Open) => depth += 1,
                (_, End::Close) => depth -= 1,
                (words, End::Semicolon) => returns |= words.first().is_some_and(|name| name == b"return"),
                (_, End::File) => return None,
            }
        }
        Some(returns)
    }

    /// Skips a block of Lua whose `{` has been read.
    fn skip_lua(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.peek()? {
                b'"' | b'\'' => drop(self.quoted()?),
                b'-' if self.text.get(self.at + 1) == Some(&b'-') => {
                    self.at += 2;
                    if self.skip_long_bracket().is_none() {
                        while self.peek()? != b'\n' {
                            self.take();
                        }
                    }
                }
                b'[' if self.skip_long_bracket().is_some() => {}
                b => {
                    self.take();
                    depth += i32::from(b == b'{') - i32::from(b == b'}');
                }
            }
        }
        Some(())
    }

    /// Skips a string of Lua in long brackets (`[[...]]`, `[=[...]=]`), if there is one.
    fn skip_long_bracket(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?.strip_prefix(b"[")?;
        let level = rest.iter().take_while(|b| **b == b'=').count();
        rest.get(level..)?.strip_prefix(b"[")?;
        let end = [b"]", &rest[..level], b"]"].concat();
        let length = rest.windows(end.len()).position(|window| window == end)? + 1 + end.len();
        for _ in 0..length {
            self.take();
        }
        Some(())
    }
}
