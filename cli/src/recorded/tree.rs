//! YAML (and so JSON) text to a tree whose nodes know their line.
//!
//! Not the reader of specifications (`mainstay_spec`, `yaml/`), though both stand on the same parser. That one ends at 1 MiB and 50,000 nodes, which ten
//! thousand agents exceed, keeps byte spans for excerpts of the text, and tells each problem under a code of the specification's catalogue, which
//! authors look up. What both could share is a loop over events of some forty lines; the codes would have to go through it.
//! Invariant: at most [`MAX_NODES`] nodes, at most [`MAX_DEPTH`] deep.

use granit_parser::{Event, Marker, Parser, StrInput};

/// Most nodes of a file.
const MAX_NODES: usize = 1_000_000;
/// Most keys of one mapping.
const MAX_KEYS: usize = 1000;
/// Deepest nesting; a list of agents needs 6.
const MAX_DEPTH: usize = 16;

/// `:line:column`, to be put behind the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, ":{}:{}", self.line, self.column)
    }
}

impl Place {
    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A node of the tree.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Place, Node)>),
}

/// A problem with its place.
pub(super) type Problem = (Place, String);

/// Reads the one document of a text.
///
/// Errors: not YAML, a feature that has no place here, too much of everything.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut reader = Reader { parser: Parser::new_from_str(text), nodes: 0, last: Place { line: 1, column: 1 } };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (event, place) => {
                let node = reader.node(event, place, 0)?;
                return match reader.next()? {
                    (Event::DocumentEnd, _) => match reader.next()? {
                        (Event::StreamEnd, _) => Ok(node),
                        (_, place) => Err((place, "a second document starts here".to_owned())),
                    },
                    (_, place) => Err((place, "the text goes on where it should end".to_owned())),
                };
            }
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
    last: Place,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Problem> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                self.last = Place::of(&span.start);
                Ok((event, self.last))
            }
            Some(Err(error)) => Err((Place::of(error.marker()), format!("not valid YAML: {}", error.kind()))),
            None => Ok((Event::StreamEnd, self.last)),
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Problem> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            let problem = if depth > MAX_DEPTH {
                format!("nested deeper than {MAX_DEPTH}")
            } else {
                format!("more than {MAX_NODES} values")
            };
            return Err((place, problem));
        }
        let value = match event {
            Event::Scalar(text, _, 0, None) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(_, 0, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, place) => items.push(self.node(event, place, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, 0, None) => self.map(depth)?,
            Event::StreamEnd | Event::DocumentEnd => return Err((place, "the file is empty".to_owned())),
            _ => return Err((place, "anchors, aliases and tags are not understood here".to_owned())),
        };
        Ok(Node { value, place })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<(String, Place, Node)> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(entries));
            }
            let key = match self.node(event, place, depth + 1)?.value {
                Value::Scalar(text) => text,
                Value::List(_) | Value::Map(_) => return Err((place, "a key must be text".to_owned())),
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            if let Some((_, first, _)) = entries.iter().find(|(known, ..)| *known == key) {
                return Err((place, format!("{key:?} is given twice, first in line {}", first.line)));
            }
            if entries.len() == MAX_KEYS {
                return Err((place, format!("more than {MAX_KEYS} keys of one mapping")));
            }
            entries.push((key, place, node));
        }
    }
}
