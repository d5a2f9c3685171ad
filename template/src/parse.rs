//! From template text to nodes, collecting every syntax error.
//!
//! Standalone lines follow the mustache specification: a line that holds one section, closing, comment or delimiter
//! tag and blanks vanishes with its line end.
//! Invariant: nodes name byte ranges of the source, in ascending order, so rendering can say where each byte came from.

use std::ops::Range;

use crate::{
    error::{SyntaxError, SyntaxErrorKind},
    limits::{MAX_DEPTH, MAX_ERRORS, MAX_TEMPLATE_BYTES},
    position::{Lines, Position},
};

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub(crate) source: String,
    pub(crate) lines: Lines,
    pub(crate) nodes: Vec<Node>,
}

/// A piece of a template. Ranges are byte ranges of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(Range<usize>),
    Variable { name: String, is_raw: bool, tag: Range<usize> },
    Section { name: String, is_inverted: bool, tag: Range<usize>, body: Vec<Node> },
}

impl Template {
    /// Reads a template.
    ///
    /// Errors: every mistake found, in the order of their places.
    pub fn parse(source: &str) -> Result<Self, Vec<SyntaxError>> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(vec![SyntaxError {
                kind: SyntaxErrorKind::TooLong { bytes: source.len() },
                offset: 0,
                length: 0,
                position: Position { line: 1, column: 1 },
            }]);
        }
        let lines = Lines::new(source);
        let mut parser = Parser {
            source,
            lines: &lines,
            open: "{{".to_owned(),
            close: "}}".to_owned(),
            root: Vec::new(),
            frames: Vec::new(),
            errors: Vec::new(),
        };
        parser.run();
        let Parser { root: nodes, mut errors, .. } = parser;
        if errors.is_empty() {
            return Ok(Self { source: source.to_owned(), lines, nodes });
        }
        errors.sort_by_key(|error| error.offset);
        errors.truncate(MAX_ERRORS);
        Err(errors)
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where a byte offset of the source stands.
    pub fn position(&self, offset: usize) -> Position {
        self.lines.position(&self.source, offset)
    }
}

/// A section that is not closed yet.
struct Frame {
    name: String,
    is_inverted: bool,
    tag: Range<usize>,
    body: Vec<Node>,
}

/// What a tag does, its name trimmed.
enum Tag<'s> {
    Variable { name: &'s str, is_raw: bool },
    Open { name: &'s str, is_inverted: bool },
    Close(&'s str),
    Comment,
    Delimiters(&'s str),
    Partial(&'s str),
}

struct Parser<'s> {
    source: &'s str,
    lines: &'s Lines,
    open: String,
    close: String,
    root: Vec<Node>,
    frames: Vec<Frame>,
    errors: Vec<SyntaxError>,
}

impl<'s> Parser<'s> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(found) = self.source[at..].find(&self.open) {
            if self.errors.len() >= MAX_ERRORS {
                return;
            }
            let start = at + found;
            let Some((tag, end)) = self.tag(start) else {
                self.text(at..start);
                at = start + self.open.len();
                continue;
            };
            let can_stand_alone = !matches!(tag, Tag::Variable { .. } | Tag::Partial(_));
            let line = if can_stand_alone { self.standalone_line(start, end) } else { None };
            let (text_end, next) = line.map_or((start, end), |line| (line.start, line.end));
            self.text(at..text_end);
            self.apply(&tag, start..end);
            at = next;
        }
        self.text(at..self.source.len());
        for frame in std::mem::take(&mut self.frames) {
            self.error(SyntaxErrorKind::UnclosedSection { name: frame.name }, frame.tag);
        }
    }

    /// Reads the tag that opens at `start`; `None` after an error.
    fn tag(&mut self, start: usize) -> Option<(Tag<'s>, usize)> {
        let inner = start + self.open.len();
        let rest = &self.source[inner..];
        let sigil = rest.trim_start().chars().next();
        // `{{{X}}}` and `{{=<% %>=}}` end with a character of their own before the closing delimiter.
        let closing = match rest.chars().next() {
            Some('{') => format!("}}{}", self.close),
            Some('=') => format!("={}", self.close),
            _ => self.close.clone(),
        };
        let skipped = usize::from(closing.len() > self.close.len());
        let Some(length) = rest.get(skipped..).and_then(|rest| rest.find(&closing)) else {
            self.unclosed(start, rest);
            return None;
        };
        let content = &rest[skipped..skipped + length];
        let end = inner + skipped + length + closing.len();
        let is_multi_line = content.trim().contains('\n');
        if sigil != Some('!') && (is_multi_line || content.contains(&self.open)) {
            self.unclosed(start, rest);
            return None;
        }
        if skipped > 0 {
            let tag = if closing.starts_with('=') {
                Tag::Delimiters(content)
            } else {
                Tag::Variable { name: content.trim(), is_raw: true }
            };
            return Some((tag, end));
        }
        let content = content.trim();
        let name = content.get(1..).unwrap_or_default().trim();
        let tag = match sigil {
            Some('!') => Tag::Comment,
            Some('#') => Tag::Open { name, is_inverted: false },
            Some('^') => Tag::Open { name, is_inverted: true },
            Some('/') => Tag::Close(name),
            Some('>') => Tag::Partial(name),
            Some('&') => Tag::Variable { name, is_raw: true },
            _ => Tag::Variable { name: content, is_raw: false },
        };
        Some((tag, end))
    }

    fn unclosed(&mut self, start: usize, rest: &str) {
        let line = rest.lines().next().unwrap_or_default();
        let shown: String = line.chars().take(24).collect();
        let length = self.open.len() + shown.len();
        let text = format!("{}{}", self.open, shown.trim_end());
        self.error(SyntaxErrorKind::UnclosedTag { text }, start..start + length);
    }

    /// The whole line, its end included, when the tag at `start..end` stands alone on it.
    fn standalone_line(&self, start: usize, end: usize) -> Option<Range<usize>> {
        let line_start = self.lines.start_of_line(start);
        // From the tag backwards: a line of many tags is then read once in total.
        if !self.source[line_start..start].bytes().rev().all(|byte| matches!(byte, b' ' | b'\t')) {
            return None;
        }
        let after = &self.source[end..];
        let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
        let rest = &after[blanks..];
        let ending = match rest {
            "" => 0,
            _ if rest.starts_with('\n') => 1,
            _ if rest.starts_with("\r\n") => 2,
            _ => return None,
        };
        Some(line_start..end + blanks + ending)
    }

    fn apply(&mut self, tag: &Tag<'s>, range: Range<usize>) {
        match *tag {
            Tag::Comment => {}
            Tag::Delimiters(text) => match delimiters(text) {
                Some((open, close)) => (self.open, self.close) = (open, close),
                None => self.error(SyntaxErrorKind::BadDelimiters { text: text.trim().to_owned() }, range),
            },
            Tag::Partial(name) => self.error(SyntaxErrorKind::Partial { name: name.to_owned() }, range),
            Tag::Variable { name: "", .. } | Tag::Open { name: "", .. } | Tag::Close("") => {
                self.error(SyntaxErrorKind::EmptyTag, range);
            }
            Tag::Variable { name, is_raw } => {
                self.push(Node::Variable { name: name.to_owned(), is_raw, tag: range });
            }
            Tag::Open { name, is_inverted } => {
                if self.frames.len() == MAX_DEPTH {
                    self.error(SyntaxErrorKind::TooDeep { name: name.to_owned() }, range.clone());
                }
                self.frames.push(Frame { name: name.to_owned(), is_inverted, tag: range, body: Vec::new() });
            }
            Tag::Close(name) => self.close_section(name, range),
        }
    }

    fn close_section(&mut self, name: &str, range: Range<usize>) {
        let Some(innermost) = self.frames.last() else {
            self.error(SyntaxErrorKind::CloseWithoutOpen { name: name.to_owned() }, range);
            return;
        };
        if innermost.name != name {
            let open = innermost.name.clone();
            let opened_at = self.lines.position(self.source, innermost.tag.start);
            self.error(SyntaxErrorKind::MismatchedClose { found: name.to_owned(), open, opened_at }, range);
            // One mistake, one error: when an outer section has the name, this tag most likely closes that one.
            match self.frames.iter().rposition(|frame| frame.name == name) {
                Some(index) => self.frames.truncate(index),
                None => return,
            }
            return;
        }
        if let Some(Frame { name, is_inverted, tag, body }) = self.frames.pop() {
            self.push(Node::Section { name, is_inverted, tag, body });
        }
    }

    fn text(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.push(Node::Text(range));
        }
    }

    fn push(&mut self, node: Node) {
        match self.frames.last_mut() {
            Some(frame) => frame.body.push(node),
            None => self.root.push(node),
        }
    }

    fn error(&mut self, kind: SyntaxErrorKind, tag: Range<usize>) {
        let position = self.lines.position(self.source, tag.start);
        self.errors.push(SyntaxError { kind, offset: tag.start, length: tag.len(), position });
    }
}

/// The two delimiters of a delimiter change.
fn delimiters(text: &str) -> Option<(String, String)> {
    let mut words = text.split_whitespace();
    let (open, close) = (words.next()?, words.next()?);
    let is_valid = words.next().is_none() && !open.contains('=') && !close.contains('=');
    is_valid.then(|| (open.to_owned(), close.to_owned()))
}
