//! From template text to nodes, collecting every syntax error.
//!
//! Standalone lines follow the mustache specification: a line that holds one section, closing, comment or delimiter
//! tag and blanks vanishes with its line end.
//! Invariant: nodes name byte ranges of the source, in ascending order, so rendering can say where each byte came from.
//! The body of a section is the nodes behind it up to its `end`: nothing here nests, so nothing can nest too deep.

use std::{ops::Range, sync::Arc};

use crate::{
    error::{SyntaxError, SyntaxErrorKind},
    limits::{MAX_DEPTH, MAX_ERRORS, MAX_TEMPLATE_BYTES},
    position::{Lines, Position},
    uses::UseKind,
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
    Tag(Tag),
}

/// A tag that uses a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: Arc<str>,
    pub(crate) kind: UseKind,
    pub(crate) range: Range<usize>,
    pub(crate) position: Position,
    /// Of a section: the index behind the last node of its body.
    pub(crate) end: usize,
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
            delimiters: Delimiters::new("{{", "}}"),
            nodes: Vec::new(),
            open: Vec::new(),
            errors: Vec::new(),
            last: (0, Position { line: 1, column: 1 }),
        };
        parser.run();
        let Parser { nodes, mut errors, .. } = parser;
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

/// What a tag does, its name trimmed.
enum Action<'s> {
    Use { name: &'s str, kind: UseKind },
    Close(&'s str),
    Comment,
    Delimiters(&'s str),
    Partial(&'s str),
}

/// What tags begin and end with.
struct Delimiters {
    open: String,
    close: String,
    /// Ends a tag that began with a brace.
    close_raw: String,
    /// Ends a delimiter change.
    close_change: String,
}

impl Delimiters {
    fn new(open: &str, close: &str) -> Self {
        let (open, close) = (open.to_owned(), close.to_owned());
        Self { close_raw: format!("}}{close}"), close_change: format!("={close}"), open, close }
    }

    /// The two delimiters of a delimiter change.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (open, close) = (words.next()?, words.next()?);
        let is_valid = words.next().is_none() && !open.contains('=') && !close.contains('=');
        is_valid.then(|| Self::new(open, close))
    }
}

struct Parser<'s> {
    source: &'s str,
    lines: &'s Lines,
    delimiters: Delimiters,
    nodes: Vec<Node>,
    /// Indices of the sections that are not closed yet, outermost first.
    open: Vec<usize>,
    errors: Vec<SyntaxError>,
    /// Offset and place of the last tag: a long line is then counted once in total.
    last: (usize, Position),
}

impl<'s> Parser<'s> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(found) = self.source[at..].find(&self.delimiters.open) {
            if self.errors.len() >= MAX_ERRORS {
                return;
            }
            let start = at + found;
            let Some((action, end)) = self.tag(start) else {
                self.text(at..start);
                at = start + self.delimiters.open.len();
                continue;
            };
            let can_stand_alone = match action {
                Action::Use { kind, .. } => !kind.is_printed(),
                Action::Close(_) | Action::Comment | Action::Delimiters(_) => true,
                Action::Partial(_) => false,
            };
            let line = if can_stand_alone { self.standalone_line(start, end) } else { None };
            let (text_end, next) = line.map_or((start, end), |line| (line.start, line.end));
            self.text(at..text_end);
            self.apply(&action, start..end);
            at = next;
        }
        self.text(at..self.source.len());
        // No more than are reported, and their places are known: a file of unclosed sections takes no longer than others.
        for index in self.open.iter().take(MAX_ERRORS) {
            if let Some(Node::Tag(Tag { name, range, position, .. })) = self.nodes.get(*index) {
                let kind = SyntaxErrorKind::UnclosedSection { name: name.to_string() };
                self.errors.push(SyntaxError { kind, offset: range.start, length: range.len(), position: *position });
            }
        }
    }

    /// Reads the tag that opens at `start`; `None` after an error.
    fn tag(&mut self, start: usize) -> Option<(Action<'s>, usize)> {
        let inner = start + self.delimiters.open.len();
        let rest = &self.source[inner..];
        // `{{{X}}}` and `{{=<% %>=}}` end with a character of their own before the closing delimiter.
        let first = rest.bytes().next();
        let (skipped, closing) = match first {
            Some(b'{') => (1, &self.delimiters.close_raw),
            Some(b'=') => (1, &self.delimiters.close_change),
            _ => (0, &self.delimiters.close),
        };
        let Some(length) = rest[skipped..].find(closing) else {
            self.unclosed(start, rest);
            return None;
        };
        let inside = &rest[skipped..skipped + length];
        let end = inner + skipped + length + closing.len();
        let content = inside.trim();
        let is_change = first == Some(b'=');
        let may_hold_anything = skipped == 0 && content.starts_with('!');
        let is_broken = content.contains('\n') || (!is_change && inside.contains(&self.delimiters.open));
        if is_broken && !may_hold_anything {
            self.unclosed(start, rest);
            return None;
        }
        if is_change {
            return Some((Action::Delimiters(content), end));
        }
        if skipped > 0 {
            return Some((Action::Use { name: content, kind: UseKind::Raw }, end));
        }
        let name = content.get(1..).unwrap_or_default().trim();
        let action = match content.bytes().next() {
            Some(b'!') => Action::Comment,
            Some(b'#') => Action::Use { name, kind: UseKind::Section },
            Some(b'^') => Action::Use { name, kind: UseKind::Inverted },
            Some(b'/') => Action::Close(name),
            Some(b'>') => Action::Partial(name),
            Some(b'&') => Action::Use { name, kind: UseKind::Raw },
            Some(b'=') => Action::Delimiters(name.strip_suffix('=').unwrap_or_default()),
            _ => Action::Use { name: content, kind: UseKind::Value },
        };
        Some((action, end))
    }

    fn unclosed(&mut self, start: usize, rest: &str) {
        let line = rest.lines().next().unwrap_or_default();
        let shown: String = line.chars().take(24).collect();
        let length = self.delimiters.open.len() + shown.len();
        let text = format!("{}{}", self.delimiters.open, shown.trim_end());
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

    fn apply(&mut self, action: &Action<'s>, range: Range<usize>) {
        match *action {
            Action::Comment => {}
            Action::Delimiters(text) => match Delimiters::parse(text) {
                Some(delimiters) => self.delimiters = delimiters,
                None => self.error(SyntaxErrorKind::BadDelimiters { text: text.trim().to_owned() }, range),
            },
            Action::Partial(name) => self.error(SyntaxErrorKind::Partial { name: name.to_owned() }, range),
            Action::Use { name: "", .. } | Action::Close("") => self.error(SyntaxErrorKind::EmptyTag, range),
            Action::Use { name, kind } => {
                if !kind.is_printed() {
                    if self.open.len() == MAX_DEPTH {
                        self.error(SyntaxErrorKind::TooDeep { name: name.to_owned() }, range.clone());
                    }
                    self.open.push(self.nodes.len());
                }
                let position = self.position(range.start);
                let end = self.nodes.len() + 1;
                self.nodes.push(Node::Tag(Tag { name: name.into(), kind, range, position, end }));
            }
            Action::Close(name) => self.close_section(name, range),
        }
    }

    fn close_section(&mut self, name: &str, range: Range<usize>) {
        let behind = self.nodes.len();
        let innermost = self.open.last().and_then(|index| self.nodes.get_mut(*index));
        let Some(Node::Tag(innermost)) = innermost else {
            self.error(SyntaxErrorKind::CloseWithoutOpen { name: name.to_owned() }, range);
            return;
        };
        if &*innermost.name == name {
            innermost.end = behind;
            self.open.pop();
            return;
        }
        let (open, opened_at) = (innermost.name.to_string(), innermost.position);
        self.error(SyntaxErrorKind::MismatchedClose { found: name.to_owned(), open, opened_at }, range);
        // One mistake, one error: when an outer section has the name, this tag most likely closes that one.
        let is_named = |index: &usize| matches!(self.nodes.get(*index), Some(Node::Tag(tag)) if &*tag.name == name);
        if let Some(outer) = self.open.iter().rposition(is_named) {
            self.open.truncate(outer);
        }
    }

    fn text(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.nodes.push(Node::Text(range));
        }
    }

    /// The place of an offset; cheap when offsets ascend.
    fn position(&mut self, offset: usize) -> Position {
        let position = self.lines.position_after(self.source, offset, self.last);
        self.last = (offset, position);
        position
    }

    fn error(&mut self, kind: SyntaxErrorKind, tag: Range<usize>) {
        let position = self.position(tag.start);
        self.errors.push(SyntaxError { kind, offset: tag.start, length: tag.len(), position });
    }
}
