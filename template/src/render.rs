//! From nodes to text, with a map back and a record of every variable used.
//!
//! Invariant: values are never rendered again; a value containing tags comes out as it is.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use crate::{
    dialect::Dialect,
    error::{ConfigError, RenderError},
    limits::MAX_RENDERED_BYTES,
    parse::{Node, Template},
    position::Position,
};

/// Where the values of variables come from.
pub trait Lookup {
    /// The value of a variable, or `None` when it is not set.
    fn lookup(&self, name: &str) -> Option<&str>;
}

impl Lookup for BTreeMap<String, String> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl<S: std::hash::BuildHasher> Lookup for HashMap<String, String, S> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The result.
    pub text: String,
    /// Variables printed while unset, once per occurrence, in template order.
    pub missing: Vec<Missing>,
    /// Every evaluation of a variable or section, in the order of the result.
    pub uses: Vec<Use>,
    /// What each part of the result came from, ascending and without gaps.
    pieces: Vec<Piece>,
}

/// A variable that was printed while unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Where its tag stands.
    pub position: Position,
}

/// One evaluation of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Name of the variable.
    pub name: String,
    /// What kind of tag.
    pub kind: UseKind,
    /// What the value was.
    pub state: UseState,
    /// Byte range of the tag in the template.
    pub tag: Range<usize>,
    /// Byte range of the value in the result; for a section its place, empty.
    pub rendered: Range<usize>,
    /// Whether the SDK would have escaped the value where it is printed verbatim here.
    pub differs_from_sdk: bool,
}

/// Kinds of evaluated tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseKind {
    /// The value was printed.
    Variable,
    /// The value decided about a section.
    Section,
    /// The value decided about an inverted section.
    Inverted,
}

/// What the value of a used variable was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseState {
    /// Not set.
    Unset,
    /// Set to the empty text.
    Empty,
    /// Set.
    Set,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// First byte in the result.
    rendered: usize,
    /// First byte in the template it came from.
    source: usize,
    /// Whether it is text of the template, where offsets advance together; otherwise the value of a tag.
    is_text: bool,
}

impl Rendered {
    /// The template offset that the byte at `offset` of the result came from; a value leads to its tag.
    pub fn source_offset(&self, offset: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.rendered <= offset);
        let Some(piece) = after.checked_sub(1).and_then(|index| self.pieces.get(index)) else { return 0 };
        if piece.is_text { piece.source + (offset - piece.rendered) } else { piece.source }
    }
}

impl Template {
    /// Renders with the values of `variables`.
    ///
    /// Errors: only when the result is longer than [`MAX_RENDERED_BYTES`]; unset variables are reported in the result.
    pub fn render(&self, variables: &dyn Lookup, dialect: Dialect) -> Result<Rendered, RenderError> {
        let mut renderer = Renderer {
            template: self,
            variables,
            dialect,
            result: Rendered { text: String::new(), missing: Vec::new(), uses: Vec::new(), pieces: Vec::new() },
            sections: Vec::new(),
            last_missing: (0, Position { line: 1, column: 1 }),
        };
        renderer.nodes(&self.nodes)?;
        Ok(renderer.result)
    }
}

/// Renders a configuration file with the environment of its task.
///
/// Errors: every syntax error of the template, or a result that is too long. Unset variables come out empty.
/// Source: `svc.yml` `configs`, rendered by the executor.
pub fn render_config(template: &str, environment: &dyn Lookup) -> Result<String, ConfigError> {
    let template = Template::parse(template).map_err(ConfigError::Syntax)?;
    let rendered = template.render(environment, Dialect::Config).map_err(ConfigError::Render)?;
    Ok(rendered.text)
}

struct Renderer<'r> {
    template: &'r Template,
    variables: &'r dyn Lookup,
    dialect: Dialect,
    result: Rendered,
    /// Values of the sections around the current node, innermost last: what `{{.}}` prints.
    sections: Vec<&'r str>,
    /// Offset and place of the last missing variable: a long line is then counted once in total.
    last_missing: (usize, Position),
}

impl<'r> Renderer<'r> {
    fn nodes(&mut self, nodes: &'r [Node]) -> Result<(), RenderError> {
        for node in nodes {
            match node {
                Node::Text(range) => self.push(&self.template.source[range.clone()], range.start, true)?,
                Node::Variable { name, is_raw, tag } => self.variable(name, *is_raw, tag)?,
                Node::Section { name, is_inverted, tag, body } => {
                    let value = self.lookup(name);
                    let kind = if *is_inverted { UseKind::Inverted } else { UseKind::Section };
                    let at = self.result.text.len();
                    self.note(name, kind, value, tag, at, false);
                    let is_truthy = self.dialect.is_truthy(value);
                    match value {
                        Some(value) if is_truthy && !*is_inverted => {
                            self.sections.push(value);
                            self.nodes(body)?;
                            self.sections.pop();
                        }
                        _ if !is_truthy && *is_inverted => self.nodes(body)?,
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn variable(&mut self, name: &'r str, is_raw: bool, tag: &Range<usize>) -> Result<(), RenderError> {
        let value = self.lookup(name);
        let spelled = self.dialect.spell(value.unwrap_or_default());
        let printed = if is_raw { Cow::Borrowed(spelled) } else { self.dialect.escape(spelled) };
        let start = self.result.text.len();
        let differs = !is_raw && self.dialect.differs_from_sdk(spelled);
        self.push(&printed, tag.start, false)?;
        self.note(name, UseKind::Variable, value, tag, start, differs);
        if value.is_none() {
            let position = self.template.lines.position_after(&self.template.source, tag.start, self.last_missing);
            self.last_missing = (tag.start, position);
            self.result.missing.push(Missing { name: name.to_owned(), position });
        }
        Ok(())
    }

    fn lookup(&self, name: &str) -> Option<&'r str> {
        if name == "." {
            return self.sections.last().copied();
        }
        if self.dialect.has_plain_name(name) { self.variables.lookup(name) } else { None }
    }

    fn note(
        &mut self,
        name: &str,
        kind: UseKind,
        value: Option<&str>,
        tag: &Range<usize>,
        start: usize,
        differs_from_sdk: bool,
    ) {
        let state = match value {
            None => UseState::Unset,
            Some("") => UseState::Empty,
            Some(_) => UseState::Set,
        };
        let rendered = start..self.result.text.len();
        self.result.uses.push(Use { name: name.to_owned(), kind, state, tag: tag.clone(), rendered, differs_from_sdk });
    }

    fn push(&mut self, text: &str, source: usize, is_text: bool) -> Result<(), RenderError> {
        if self.result.text.len() + text.len() > MAX_RENDERED_BYTES {
            return Err(RenderError::TooLong);
        }
        if !text.is_empty() {
            self.result.pieces.push(Piece { rendered: self.result.text.len(), source, is_text });
            self.result.text.push_str(text);
        }
        Ok(())
    }
}
