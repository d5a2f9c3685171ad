//! Places in JSON texts, which the JSON reader does not keep.
//!
//! Not a reader: every text here was accepted by one before.

use std::collections::BTreeMap;
use std::ops::Range;

use mainstay_template::Lines;
use serde_json::Value;

/// A JSON file: what it says, and its text to find places in.
#[derive(Debug)]
pub(crate) struct Document {
    /// The file as messages name it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) value: Value,
    text: String,
    lines: LineNumbers,
    /// Offsets of all values in objects, by the names that lead to them; found once, since many places are asked for.
    offsets: BTreeMap<String, usize>,
}

/// Joins names in the keys of [`Document::offsets`]; no name contains it in earnest.
const JOINT: &str = "\0";

/// Numbers of lines by offset, when columns do not matter.
#[derive(Debug)]
pub(crate) struct LineNumbers(Vec<usize>);

impl LineNumbers {
    /// Finds the lines of a text.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

impl Document {
    /// Parses a text.
    ///
    /// Errors: a sentence with file, line and column.
    pub(crate) fn parse(name: String, text: String) -> Result<Self, String> {
        // Some editors begin a file with a byte order mark, which the reader does not know.
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        match serde_json::from_str(&text) {
            Ok(value) => {
                let mut offsets = BTreeMap::new();
                index(&text, blanks(&text, 0), "", &mut offsets);
                Ok(Self { name, value, lines: LineNumbers::new(&text), offsets, text })
            }
            Err(error) => {
                let position = Lines::new(&text).position(&text, error_offset(&text, &error));
                Err(format!("{name}:{position}: this is not JSON: {}", why(&error)))
            }
        }
    }

    /// `file:line:column` of the value under these names, or of the innermost one that is there.
    pub(crate) fn place(&self, path: &[&str]) -> String {
        format!("{}:{}", self.name, Lines::new(&self.text).position(&self.text, self.offset(path)))
    }

    /// `file:line` of the value under these names.
    pub(crate) fn line(&self, path: &[&str]) -> String {
        format!("{}:{}", self.name, self.lines.line(self.offset(path)))
    }

    fn offset(&self, path: &[&str]) -> usize {
        let known = (0..=path.len()).rev().find_map(|length| self.offsets.get(&path[..length].join(JOINT)));
        known.copied().unwrap_or_default()
    }
}

/// Byte offset of what the reader did not like.
pub(crate) fn error_offset(text: &str, error: &serde_json::Error) -> usize {
    let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    // It counts bytes from 1, and names a line end as column 0 of the next line.
    let offset = (start + error.column()).saturating_sub(1).min(text.len().saturating_sub(1));
    (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// The reader's message without the place at its end.
pub(crate) fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why).to_owned()
}

/// Notes the value at this offset and, when it is an object, those in it. As deep as the reader allows.
fn index(text: &str, offset: usize, path: &str, offsets: &mut BTreeMap<String, usize>) {
    for (name, value) in members(text, offset) {
        let path = if path.is_empty() { name } else { format!("{path}{JOINT}{name}") };
        index(text, value.start, &path, offsets);
    }
    // Of two members with one name the last one counts, as it does for the reader.
    offsets.insert(path.to_owned(), offset);
}

/// The members of the object that begins at this offset, each with the range of its value; none when it is no object.
pub(crate) fn members(text: &str, offset: usize) -> Vec<(String, Range<usize>)> {
    let mut members = Vec::new();
    if byte(text, offset) != Some(b'{') {
        return members;
    }
    let mut at = blanks(text, offset + 1);
    while byte(text, at) == Some(b'"') {
        let key = at..value_end(text, at);
        let name = serde_json::from_str(&text[key.clone()]).unwrap_or_default();
        let start = blanks(text, blanks(text, key.end) + 1);
        let end = value_end(text, start);
        members.push((name, start..end));
        at = blanks(text, end);
        if byte(text, at) == Some(b',') {
            at = blanks(text, at + 1);
        }
    }
    members
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

fn blanks(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where the value that begins at this offset ends.
fn value_end(text: &str, start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while let Some(found) = byte(text, at) {
        match found {
            b'"' => at = string_end(text, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            byte if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn string_end(text: &str, start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = byte(text, at) {
        match found {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = r#" {"a": {"x\"y": [1, {"b": "}"}], "n": -1.5e3 ,"t":true},
  "ü": "\\", "e": {}, "a2": "1" } "#;

    #[test]
    fn members_are_found_whatever_is_in_their_values() {
        let texts = |offset| -> Vec<(String, &str)> {
            members(TEXT, offset).into_iter().map(|(name, range)| (name, &TEXT[range])).collect()
        };
        let own = |name: &str, value| (name.to_owned(), value);
        let outer = texts(1);
        assert_eq!(outer[1..], [own("ü", r#""\\""#), own("e", "{}"), own("a2", r#""1""#)]);
        let inner = [own("x\"y", r#"[1, {"b": "}"}]"#), own("n", "-1.5e3"), own("t", "true")];
        assert_eq!(texts(7), inner);
        assert_eq!(texts(TEXT.find("{}").unwrap()), []);
        assert_eq!(texts(TEXT.find("\"1\"").unwrap()), []);
    }

    #[test]
    fn a_place_is_that_of_the_innermost_value_that_is_there() {
        let document = Document::parse("o.json".to_owned(), TEXT.to_owned()).unwrap();
        assert_eq!(document.place(&["ü"]), "o.json:2:8");
        assert_eq!(document.place(&["a", "n"]), "o.json:1:39");
        assert_eq!(document.place(&["a", "missing"]), "o.json:1:8");
        assert_eq!(document.line(&["e", "f"]), "o.json:2");
        let error = Document::parse("o.json".to_owned(), "{\n \"a\" 1}".to_owned()).unwrap_err();
        assert_eq!(error, "o.json:2:6: this is not JSON: expected `:`");
    }
}
