//! YAML text to a tree whose nodes remember where they stand.
//!
//! Not a general YAML reader: anchors, aliases, merge keys, tags and further documents are problems, because no
//! specification uses them and each is a way to mean something else than what is read.
//! Invariant: a tree has at most [`MAX_NODES`] nodes, is at most [`MAX_DEPTH`] deep, and no mapping holds a key twice.
//! Next: `yaml/reader.rs`. The parser crate is named in this file only.

pub(crate) mod literal;
pub(crate) mod reader;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::{
    code::Code,
    problem::{Problems, Span},
};

/// Largest rendered text read, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Most nodes of a document: about 25 times what the largest known specification has.
pub(crate) const MAX_NODES: usize = 50_000;
/// Deepest nesting; specifications need about 10.
pub(crate) const MAX_DEPTH: usize = 32;

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

/// Reads the one document of `text`; `None` when there is no tree to work with, for a reason already pushed.
pub(crate) fn parse(text: &str, problems: &mut Problems<'_>) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!("rendered text has {} bytes; at most {MAX_BYTES} are read", text.len());
        problems.push(Code::YamlLimit, "", &(0..0), message);
        return None;
    }
    let mut builder = Builder { text, parser: Parser::new_from_str(text), problems, nodes: 0, path: Vec::new() };
    match builder.document() {
        Ok(node) => node,
        Err(Stop::Pushed) => None,
        Err(Stop::Scan(error)) => {
            let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
            let message = format!("not valid YAML: {}", error.kind());
            builder.problems.push(Code::YamlSyntax, "", &(at..at), message);
            None
        }
    }
}

/// Why reading ends before the document does.
enum Stop {
    /// The text is not YAML.
    Scan(Box<ScanError>),
    /// A problem was pushed.
    Pushed,
}

struct Builder<'b, 't, 'p> {
    text: &'t str,
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    problems: &'b mut Problems<'p>,
    nodes: usize,
    path: Vec<String>,
}

impl<'t> Builder<'_, 't, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                let offset = |marker: &granit_parser::Marker| {
                    let offset = marker.byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                    (0..=offset).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or_default()
                };
                let start = offset(&span.start);
                Ok((event, start..offset(&span.end).max(start)))
            }
            Some(Err(error)) => Err(Stop::Scan(Box::new(error))),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document starts here; a specification is one document";
                    self.problems.push(Code::YamlFeature, "", &span, message);
                    return Ok(root);
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                _ => break,
            }
        }
        match root {
            Some(Node { value: Value::Null, .. }) | None => {
                self.problems.push(Code::EmptyDocument, "", &(0..0), "the specification is empty");
                Err(Stop::Pushed)
            }
            Some(_) => Ok(root),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            let limit = if depth > MAX_DEPTH {
                format!("values are nested deeper than {MAX_DEPTH}")
            } else {
                format!("the document has more than {MAX_NODES} values")
            };
            self.feature(Code::YamlLimit, &span, &limit);
            return Err(Stop::Pushed);
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span);
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if is_null { Value::Null } else { Value::Scalar(text.into_owned()) };
                Ok(Node { value, span })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span);
                self.list(span, depth)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span);
                self.map(span, depth)
            }
            // An alias, the only other event in a node's place.
            _ => {
                self.feature(Code::YamlFeature, &span, "aliases are not supported; write the value out");
                Ok(Node { value: Value::Null, span })
            }
        }
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, item_span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Node { value: Value::List(items), span });
            }
            self.path.push(items.len().to_string());
            items.push(self.node(event, item_span, depth + 1)?);
            self.path.pop();
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        // Positions by key, so that a large mapping is read in good time.
        let mut index = std::collections::BTreeMap::new();
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Node { value: Value::Map(entries), span });
            }
            let key_node = self.node(event, key_span.clone(), depth + 1)?;
            let key = match key_node.value {
                Value::Scalar(text) => Some(text),
                Value::Null => {
                    let path = self.path.join(".");
                    self.problems.absent_value(&path, &key_span, "a key");
                    None
                }
                Value::List(_) | Value::Map(_) => {
                    let path = self.path.join(".");
                    self.problems.push(Code::WrongType, &path, &key_span, "a key must be text");
                    None
                }
            };
            self.path.push(key.clone().unwrap_or_default());
            let (event, node_span) = self.next()?;
            let node = self.node(event, node_span, depth + 1)?;
            if let Some(key) = key {
                self.entry(&mut entries, &mut index, Entry { key, key_span, node });
            }
            self.path.pop();
        }
    }

    fn entry(&mut self, entries: &mut Vec<Entry>, index: &mut std::collections::BTreeMap<String, usize>, entry: Entry) {
        if entry.key == "<<" {
            self.feature(Code::YamlFeature, &entry.key_span, "merge keys are not supported; write the keys out");
            return;
        }
        if let Some(first) = index.get(&entry.key).and_then(|at| entries.get(*at)) {
            if self.problems.is_full() {
                return;
            }
            let line = |span: &Span| self.problems.places.position(span.start).line;
            let message =
                format!("given twice: in line {} and in line {}", line(&first.key_span), line(&entry.key_span));
            let help = Some("remove one of them or give it another name".to_owned());
            let path = self.path.join(".");
            self.problems.push_with_help(Code::DuplicateKey, &path, &entry.key_span, message, help);
            return;
        }
        index.insert(entry.key.clone(), entries.len());
        entries.push(entry);
    }

    fn refuse_properties(&mut self, anchor: usize, has_tag: bool, span: &Span) {
        if anchor != 0 {
            self.feature(Code::YamlFeature, span, "anchors are not supported");
        }
        if has_tag {
            self.feature(Code::YamlFeature, span, "YAML tags are not supported");
        }
    }

    fn feature(&mut self, code: Code, span: &Span, message: &str) {
        let path = self.path.join(".");
        self.problems.push(code, &path, span, message);
    }
}
