// SPDX-License-Identifier: Apache-2.0
//! The syntax of nginx's configuration files: words, `;`, blocks and comments, each with its place in the text.

use std::borrow::Cow;
use std::ops::Range;

/// A word of a directive.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Its value, without quotes and backslashes before quotes.
    pub text: Cow<'static, str>,
    /// Where it is written, quotes included.
    pub span: Range<usize>,
}

/// A directive.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    /// The number of its file.
    pub file: usize,
    /// Its name and arguments.
    pub words: Vec<Word>,
    /// From the name to the `;` or `}` that ends it.
    pub span: Range<usize>,
    /// What is in its block, or in the files that it includes.
    pub block: Option<Vec<Directive>>,
    /// Where the block begins, after its `{`.
    pub open: usize,
}

impl Directive {
    /// The name.
    pub fn name(&self) -> &str {
        &self.words[0].text
    }

    /// The argument with this number, from 1.
    pub fn argument(&self, number: usize) -> &str {
        self.words.get(number).map_or("", |word| &word.text)
    }

    /// The arguments.
    pub fn arguments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.words[1..].iter().map(|word| &*word.text)
    }
}

/// What is wrong, and at which offset.
pub type Mistake = (usize, String);

/// Reads the text of a file.
pub fn parse(text: &'static str, file: usize) -> Result<Vec<Directive>, Mistake> {
    // A byte order mark, which nginx skips too.
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { text, at: start, file };
    let directives = reader.directives(0)?;
    Ok(directives)
}

struct Reader {
    text: &'static str,
    at: usize,
    file: usize,
}

/// The depth at which nginx would have run out of contexts long ago.
const DEEPEST: usize = 64;

fn mistake<T>(at: usize, message: impl Into<String>) -> Result<T, Mistake> {
    Err((at, message.into()))
}

impl Reader {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        while let Some(b) = self.peek() {
            match b {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |end| self.at + end),
                _ => return,
            }
        }
    }

    /// The directives up to the end of the block or, outside of blocks, of the file.
    fn directives(&mut self, depth: usize) -> Result<Vec<Directive>, Mistake> {
        let mut directives = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None if depth == 0 => return Ok(directives),
                None => return mistake(self.at, "unexpected end of file, expecting \"}\""),
                Some(b'}') if depth == 0 => return mistake(self.at, "unexpected \"}\""),
                Some(b'}') => return Ok(directives),
                Some(_) if depth > DEEPEST => return mistake(self.at, "too many blocks in blocks"),
                Some(_) => directives.push(self.directive(depth)?),
            }
        }
    }

    fn directive(&mut self, depth: usize) -> Result<Directive, Mistake> {
        let start = self.at;
        let mut words = Vec::new();
        loop {
            self.skip();
            let at = self.at;
            match self.peek() {
                None => return mistake(at, "unexpected end of file, expecting \";\" or \"}\""),
                Some(b';') if words.is_empty() => return mistake(at, "unexpected \";\""),
                Some(b'{') if words.is_empty() => return mistake(at, "unexpected \"{\""),
                Some(b'}') => return mistake(at, "unexpected \"}\""),
                Some(b';') => {
                    self.at += 1;
                    return Ok(Directive { file: self.file, words, span: start..self.at, block: None, open: 0 });
                }
                Some(b'{') => {
                    self.at += 1;
                    let open = self.at;
                    let block = match words.first().is_some_and(|word: &Word| word.text.ends_with("_by_lua_block")) {
                        true => self.lua().map(|()| Vec::new())?,
                        false => self.directives(depth + 1)?,
                    };
                    self.at += 1;
                    return Ok(Directive { file: self.file, words, span: start..self.at, block: Some(block), open });
                }
                Some(quote @ (b'"' | b'\'')) => words.push(self.quoted(quote)?),
                Some(_) => words.push(self.plain()),
            }
        }
    }

    /// A word up to white space, `;` or `{`. The brace of `${name}` belongs to the word.
    fn plain(&mut self) -> Word {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(b) = self.peek() {
            match b {
                b' ' | b'\t' | b'\r' | b'\n' | b';' => break,
                b'{' if self.at == start || bytes[self.at - 1] != b'$' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
            self.at = (self.at + 1).min(bytes.len());
        }
        Word { text: unescaped(&self.text[start..self.at]), span: start..self.at }
    }

    fn quoted(&mut self, quote: u8) -> Result<Word, Mistake> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            match self.peek() {
                None => return mistake(start, "unexpected end of file, expecting the end of a quoted argument"),
                Some(b'\\') => self.at = (self.at + 2).min(bytes.len()),
                Some(b) if b == quote => break,
                Some(_) => self.at += 1,
            }
        }
        let text = unescaped(&self.text[start + 1..self.at]);
        self.at += 1;
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') => Ok(Word { text, span: start..self.at }),
            Some(_) => {
                let next = self.text[self.at..].chars().next().unwrap_or(' ');
                mistake(self.at, format!("unexpected \"{next}\""))
            }
        }
    }

    /// Skips a block of Lua up to its `}`.
    fn lua(&mut self) -> Result<(), Mistake> {
        let start = self.at;
        let mut depth = 0;
        while let Some(b) = self.peek() {
            match b {
                b'{' => depth += 1,
                b'}' if depth == 0 => return Ok(()),
                b'}' => depth -= 1,
                b'-' if self.text[self.at..].starts_with("--") => {
                    self.at += 2;
                    let length = long_bracket(&self.text[self.at..]).or_else(|| self.text[self.at..].find('\n'));
                    self.at = length.map_or(self.text.len(), |length| self.at + length);
                    continue;
                }
                b'[' => {
                    self.at += long_bracket(&self.text[self.at..]).unwrap_or(1);
                    continue;
                }
                b'"' | b'\'' => {
                    let rest = &self.text.as_bytes()[self.at + 1..];
                    let mut end = 0;
                    while rest.get(end).is_some_and(|&c| c != b && c != b'\n') {
                        end += if rest[end] == b'\\' { 2 } else { 1 };
                    }
                    self.at += 1 + end;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.text.len();
        mistake(start, "unexpected end of file, expecting \"}\"")
    }
}

/// The length of a string of Lua in long brackets (`[[...]]`, `[=[...]=]`) that a text begins with.
fn long_bracket(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('[')?;
    let level = rest.len() - rest.trim_start_matches('=').len();
    rest[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    Some(text.find(&end).map_or(text.len(), |at| at + end.len()))
}

/// The value of a word: nginx removes backslashes before quotes and backslashes, and knows three letters after them.
fn unescaped(text: &'static str) -> Cow<'static, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match characters.next() {
            Some(c @ ('"' | '\'' | '\\')) => value.push(c),
            Some('t') => value.push('\t'),
            Some('r') => value.push('\r'),
            Some('n') => value.push('\n'),
            Some(c) => value.extend(['\\', c]),
            None => value.push('\\'),
        }
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(directives: &[Directive]) -> String {
        let one = |directive: &Directive| {
            let words: Vec<_> = directive.words.iter().map(|word| format!("[{}]", word.text)).collect();
            let block = directive.block.as_ref().map(|block| format!("{{{}}}", shown(block))).unwrap_or_default();
            words.join("") + &block
        };
        directives.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_and_blocks() {
        let rows = [
            ("a b;c  'd e' ; # f;\n g{}", "[a][b] [c][d e] [g]{}"),
            ("if ($a = 'b') { return 204; }", "[if][($a][=][b][)]{[return][204]}"),
            (r#"a "b\"c" 'd\'e' f\ g \d+\.x;"#, r#"[a][b"c][d'e][f\ g][\d+\.x]"#),
            ("a ${b}c d;", "[a][${b}c][d]"),
            ("a b#c;", "[a][b#c]"),
            ("map $a $b { ~^x{2} y; }", "[map][$a][$b]{[~^x]{"),
            ("\u{feff}a;", "[a]"),
            ("\u{e9} \\\u{e9};", "[\u{e9}][\\\u{e9}]"),
            ("'\\\u{e9}' \\\u{20ac}\u{20ac};", "[\\\u{e9}][\\\u{20ac}\u{20ac}]"),
            ("content_by_lua_block { local a = {'}'} -- }\n } b;", "[content_by_lua_block]{} [b]"),
            ("content_by_lua_block { f('}', 2 - 1) } b;", "[content_by_lua_block]{} [b]"),
            ("content_by_lua_block { f('a } b', \"{ c\") } b;", "[content_by_lua_block]{} [b]"),
        ];
        for (text, expected) in rows {
            match parse(text, 0) {
                Ok(directives) => assert_eq!(shown(&directives), expected, "{text}"),
                // nginx does not read an unquoted brace as part of an expression either.
                Err(_) => assert!(text.contains("~^x{2}"), "{text}"),
            }
        }
    }

    #[test]
    fn spans_cover_what_is_written() {
        let text = "a {\n  b 'c d' ;\n}";
        let directives = parse(text, 0).unwrap();
        assert_eq!(&text[directives[0].span.clone()], text);
        let inner = &directives[0].block.as_ref().unwrap()[0];
        assert_eq!((&text[inner.span.clone()], &text[inner.words[1].span.clone()]), ("b 'c d' ;", "'c d'"));
        assert_eq!(&text[..directives[0].open], "a {");
    }

    #[test]
    fn mistakes() {
        let rows = [
            ("a", 1, "unexpected end of file, expecting \";\" or \"}\""),
            ("a {", 3, "unexpected end of file, expecting \"}\""),
            ("a; }", 3, "unexpected \"}\""),
            ("a { b }", 6, "unexpected \"}\""),
            (";", 0, "unexpected \";\""),
            ("{ }", 0, "unexpected \"{\""),
            ("a 'b", 2, "unexpected end of file, expecting the end of a quoted argument"),
            ("a 'b'c;", 5, "unexpected \"c\""),
            ("a_by_lua_block { '", 16, "unexpected end of file, expecting \"}\""),
        ];
        for (text, at, message) in rows {
            assert_eq!(parse(text, 0), Err((at, message.to_owned())), "{text}");
        }
        let deep: &'static str = Box::leak("a {".repeat(100_000).into_boxed_str());
        assert!(parse(deep, 0).unwrap_err().1.starts_with("too many"));
        let nested = |depth: usize| -> &'static str {
            Box::leak(("a {".repeat(depth) + "b;" + &"}".repeat(depth)).into_boxed_str())
        };
        assert!(parse(nested(DEEPEST), 0).is_ok());
        assert!(parse(nested(DEEPEST + 1), 0).unwrap_err().1.starts_with("too many"));
    }
}
