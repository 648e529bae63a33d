// SPDX-License-Identifier: Apache-2.0
//! A whole configuration: its files, with what they include in its place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub use super::syntax::Directive;
use super::syntax::{self, Mistake};
use crate::Failure;

/// A file of a configuration.
pub struct File {
    /// Its path.
    pub name: String,
    /// What it contains. The configuration lives as long as the process.
    pub text: &'static str,
    /// The offset of each end of a line.
    ends: Vec<usize>,
}

impl File {
    fn new(name: String, text: String) -> File {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
        File { name, text: Box::leak(text.into_boxed_str()), ends }
    }
}

/// A configuration.
pub struct Configuration {
    /// Its files, the main one first.
    pub files: Vec<File>,
    /// What is outside of all blocks.
    pub directives: Vec<Directive>,
    /// Whether it is the output of `nginx -T`.
    pub is_dump: bool,
    /// The directory of the main file, to which other names are relative.
    pub directory: PathBuf,
}

impl Configuration {
    /// `FILE:LINE` of an offset.
    pub fn place(&self, file: usize, at: usize) -> String {
        place(&self.files[file], at)
    }

    /// `FILE:LINE` of a directive.
    pub fn place_of(&self, directive: &Directive) -> String {
        self.place(directive.file, directive.span.start)
    }
}

fn place(file: &File, at: usize) -> String {
    format!("{}:{}", file.name, file.ends.partition_point(|&end| end < at) + 1)
}

/// The directives of a block, with those of included files in the place of `include`.
pub fn flat(block: &[Directive]) -> Vec<&Directive> {
    let mut found = Vec::with_capacity(block.len());
    for directive in block {
        match (&directive.block, directive.name()) {
            (Some(included), "include") => found.extend(flat(included)),
            _ => found.push(directive),
        }
    }
    found
}

/// The start of the line before each file in the output of `nginx -T`.
const MARK: &str = "# configuration file ";

/// How deep files include each other at most.
const DEEPEST: usize = 32;

/// Reads a configuration from a file, or `-` for the standard input; either may be the output of `nginx -T`.
pub fn read(path: &str) -> Result<Configuration, Failure> {
    let text = crate::input::read(path)?;
    let name = if path == "-" { "standard input" } else { path };
    match dumped(&text) {
        Some(files) => Reader::new(Source::Dump(files)).read(name, ""),
        None => Reader::new(Source::Disk(directory(path))).read(name, &text),
    }
}

fn directory(path: &str) -> PathBuf {
    Path::new(path).parent().unwrap_or(Path::new("")).to_owned()
}

/// The files in the output of `nginx -T`; `None` if it is something else.
fn dumped(text: &str) -> Option<Vec<(String, String)>> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let name = line.strip_prefix(MARK).and_then(|rest| rest.trim_end().strip_suffix(':'));
        match (name, files.last_mut()) {
            (Some(name), _) => files.push((name.to_owned(), String::new())),
            (None, Some((_, text))) => text.push_str(line),
            // The messages of nginx may come before.
            (None, None) if line.starts_with("nginx: ") || line.trim().is_empty() => {}
            (None, None) => return None,
        }
    }
    // nginx adds an empty line after each file.
    for (_, text) in &mut files {
        if text.ends_with("\n\n") {
            text.pop();
        }
    }
    (!files.is_empty()).then_some(files)
}

/// Where included files are.
enum Source {
    /// On disk, relative to the directory of the main file.
    Disk(PathBuf),
    /// In the output of `nginx -T`.
    Dump(Vec<(String, String)>),
}

struct Reader {
    source: Source,
    files: Vec<File>,
    /// The numbers of the files that were read.
    known: HashMap<String, usize>,
}

impl Reader {
    fn new(source: Source) -> Self {
        Reader { source, files: Vec::new(), known: HashMap::new() }
    }

    fn read(mut self, name: &str, text: &str) -> Result<Configuration, Failure> {
        let is_dump = matches!(self.source, Source::Dump(_));
        let number = match &self.source {
            Source::Disk(_) => self.add(name.to_owned(), text.to_owned()),
            Source::Dump(files) => {
                let (name, text) = files[0].clone();
                self.add(name, text)
            }
        };
        let mut directives = self.parse(number)?;
        self.include(&mut directives, 0)?;
        let directory = self.directory();
        let configuration = Configuration { files: self.files, directives, is_dump, directory };
        check(&configuration, &configuration.directives, "main")?;
        Ok(configuration)
    }

    fn add(&mut self, name: String, text: String) -> usize {
        self.files.push(File::new(name.clone(), text));
        self.known.insert(name, self.files.len() - 1);
        self.files.len() - 1
    }

    fn parse(&self, number: usize) -> Result<Vec<Directive>, Failure> {
        let file = &self.files[number];
        syntax::parse(file.text, number).map_err(|(at, message): Mistake| format!("{message} in {}", place(file, at)))
    }

    /// Reads what `include` directives name into their blocks.
    fn include(&mut self, directives: &mut [Directive], depth: usize) -> Result<(), Failure> {
        for directive in directives {
            if directive.name() == "include" && directive.words.len() == 2 && directive.block.is_none() {
                let place = place(&self.files[directive.file], directive.span.start);
                if depth > DEEPEST {
                    return Err(format!("files include each other without end in {place}"));
                }
                let mut all = Vec::new();
                for name in self.names(&directive.words[1].text, &place)? {
                    let number = match self.known.get(&name) {
                        Some(&number) => number,
                        None => {
                            let text = self.text(&name).map_err(|error| format!("\"{name}\": {error} in {place}"))?;
                            self.add(name, text)
                        }
                    };
                    let mut included = self.parse(number)?;
                    self.include(&mut included, depth + 1)?;
                    all.extend(included);
                }
                directive.block = Some(all);
            } else if let Some(block) = &mut directive.block {
                self.include(block, depth)?;
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> io::Result<String> {
        match &self.source {
            Source::Disk(_) => {
                let bytes = fs::read(name)?;
                String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not UTF-8"))
            }
            Source::Dump(files) => {
                let found = files.iter().find(|(other, _)| other == name);
                found.map(|(_, text)| text.clone()).ok_or(io::ErrorKind::NotFound.into())
            }
        }
    }

    /// The directory of the main file.
    fn directory(&self) -> PathBuf {
        match &self.source {
            Source::Disk(directory) => directory.clone(),
            Source::Dump(files) => directory(&files[0].0),
        }
    }

    /// The files that a mask names. Only a mask may name none.
    fn names(&self, mask: &str, place: &str) -> Result<Vec<String>, Failure> {
        let path = self.directory().join(mask).to_string_lossy().into_owned();
        let is_mask = mask.contains(['*', '?', '[']);
        if !is_mask {
            let exists = match &self.source {
                Source::Disk(_) => Path::new(&path).exists(),
                Source::Dump(files) => files.iter().any(|(name, _)| *name == path),
            };
            return match exists {
                true => Ok(vec![path]),
                false => Err(format!("\"{path}\" is not there in {place}; the output of nginx -T contains every file")),
            };
        }
        let wrong = |error: glob::PatternError| format!("\"{mask}\": {error} in {place}");
        match &self.source {
            Source::Disk(_) => {
                let paths = glob::glob(&path).map_err(wrong)?.flatten();
                Ok(paths.map(|path| path.to_string_lossy().into_owned()).collect())
            }
            Source::Dump(files) => {
                let pattern = glob::Pattern::new(&path).map_err(wrong)?;
                let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
                let mut names: Vec<_> = files.iter().map(|(name, _)| name.clone()).collect();
                names.retain(|name| pattern.matches_with(name, options));
                names.sort();
                Ok(names)
            }
        }
    }
}

/// Blocks, and the blocks that they may be in. A file may also be a part of a configuration, so each may be outside of all.
const BLOCKS: [(&str, &[&str]); 8] = [
    ("http", &["main"]),
    ("events", &["main"]),
    ("server", &["main", "http", "stream", "mail", "upstream"]),
    ("location", &["main", "server", "location"]),
    ("if", &["main", "server", "location"]),
    ("limit_except", &["main", "location"]),
    ("map", &["main", "http", "stream"]),
    ("upstream", &["main", "http", "stream"]),
];
/// Directives that end in `;`.
const SIMPLE: [&str; 11] = [
    "add_header",
    "set",
    "return",
    "rewrite",
    "listen",
    "server_name",
    "proxy_pass",
    "root",
    "alias",
    "more_set_headers",
    "proxy_hide_header",
];

/// Checks what nginx would refuse in any configuration, as far as this command depends on it.
fn check(configuration: &Configuration, directives: &[Directive], context: &str) -> Result<(), Failure> {
    for directive in directives {
        let name = directive.name();
        let fail = |message: String| Err(format!("{message} in {}", configuration.place_of(directive)));
        let block = BLOCKS.iter().find(|(block, _)| *block == name);
        // In these, the first word is not the name of a directive.
        if matches!(context, "map" | "geo" | "types" | "split_clients" | "upstream" | "charset_map") {
            continue;
        }
        match (&directive.block, block) {
            (None, Some(_)) => return fail(format!("directive \"{name}\" has no opening \"{{\"")),
            (Some(_), None) if SIMPLE.contains(&name) || name.starts_with("cors") => {
                return fail(format!("directive \"{name}\" is not terminated by \";\""));
            }
            (Some(_), Some((_, contexts))) if !contexts.contains(&context) => {
                return fail(format!("\"{name}\" directive is not allowed here"));
            }
            _ => {}
        }
        let arguments = directive.words.len() - 1;
        let is_wrong = match name {
            "add_header" => !(2..=3).contains(&arguments),
            "set" | "map" => arguments != 2,
            "http" | "server" => arguments != 0 && directive.block.is_some(),
            "location" => !(1..=2).contains(&arguments),
            _ => false,
        };
        if is_wrong {
            return fail(format!("invalid number of arguments in \"{name}\" directive"));
        }
        if let Some(block) = &directive.block {
            let inner = if name == "include" { context } else { name };
            check(configuration, block, inner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(text: &str) -> Result<Configuration, Failure> {
        Reader::new(Source::Dump(dumped(text).unwrap())).read("", "")
    }

    fn plain(text: &str) -> Result<Configuration, Failure> {
        Reader::new(Source::Disk(PathBuf::new())).read("n", text)
    }

    #[test]
    fn the_output_of_nginx() {
        let text =
            "nginx: test is successful\n# configuration file /e/nginx.conf:\nhttp { include c/*.conf; include x; }\n\n\
                    # configuration file /e/c/b.conf:\nserver { listen 2; }\n\n# configuration file /e/c/a.conf:\n\
                    server { listen 1; }\n\n# configuration file /e/x:\nroot /;\n";
        let configuration = dump(text).unwrap();
        let http = &configuration.directives[0];
        let inner: Vec<_> = flat(http.block.as_ref().unwrap()).iter().map(|d| configuration.place_of(d)).collect();
        assert_eq!(inner, ["/e/c/a.conf:1", "/e/c/b.conf:1", "/e/x:1"]);
        assert_eq!(configuration.files[0].text, "http { include c/*.conf; include x; }\n");
        assert!(dumped("http { }").is_none());
        assert!(dumped("http { }\n# configuration file /e/nginx.conf:\nhttp { }\n").is_none());
        assert_eq!(
            dump("# configuration file /e/nginx.conf:\ninclude x;\n").err().as_deref(),
            Some("\"/e/x\" is not there in /e/nginx.conf:1; the output of nginx -T contains every file")
        );
    }

    #[test]
    fn what_nginx_would_refuse() {
        let rows = [
            ("http {\n}\n}", "unexpected \"}\" in n:3"),
            ("server {\nlocation / {\n", "unexpected end of file, expecting \"}\" in n:3"),
            ("location / { http { } }", "\"http\" directive is not allowed here in n:1"),
            ("server;", "directive \"server\" has no opening \"{\" in n:1"),
            ("location / { add_header a; }", "invalid number of arguments in \"add_header\" directive in n:1"),
            ("location / { set $a; }", "invalid number of arguments in \"set\" directive in n:1"),
            ("map $a { }", "invalid number of arguments in \"map\" directive in n:1"),
            ("http a { }", "invalid number of arguments in \"http\" directive in n:1"),
            ("http { server a { } }", "invalid number of arguments in \"server\" directive in n:1"),
            ("server { location { } }", "invalid number of arguments in \"location\" directive in n:1"),
            ("location / { cors_max_age { } }", "directive \"cors_max_age\" is not terminated by \";\" in n:1"),
            ("location / { add_header a b { } }", "directive \"add_header\" is not terminated by \";\" in n:1"),
            ("\ninclude none;", "\"none\" is not there in n:2; the output of nginx -T contains every file"),
        ];
        for (text, message) in rows {
            assert_eq!(plain(text).err().as_deref(), Some(message), "{text}");
        }
        assert!(plain("include none/*.conf; map $a $b { server 1; if 2; }").is_ok());
    }

    #[test]
    fn files_that_include_each_other() {
        let text = "# configuration file /a:\ninclude b;\n\n# configuration file /b:\ninclude a;\n";
        assert_eq!(dump(text).err().as_deref(), Some("files include each other without end in /b:1"));
    }
}
