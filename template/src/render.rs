//! From nodes to text, with a map back and a record of every variable used.
//!
//! Invariant: values are never rendered again; a value containing tags comes out as it is.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

use crate::{
    dialect::Dialect,
    error::{ConfigError, RenderError},
    json,
    limits::{MAX_RENDERED_BYTES, MAX_STEPS},
    missing::Missing,
    parse::{Node, Tag, Template},
    uses::{Use, UseKind, UseState},
    value::{Item, Value},
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
    /// Variables printed while unset, once per tag, in the order of their evaluation.
    pub missing: Vec<Missing>,
    /// Every evaluation of a variable or section, in the order of the result.
    pub uses: Vec<Use>,
    /// What each part of the result came from, ascending and without gaps.
    pieces: Vec<Piece>,
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
    /// Errors: a result beyond the [`crate::limits`]; unset variables are reported in the result.
    pub fn render(&self, variables: &dyn Lookup, dialect: Dialect) -> Result<Rendered, RenderError> {
        Renderer::new(self, Some(variables), dialect).run(None)
    }

    /// Renders with nested values: names are looked up in `values` when it is a map, and `{{.}}` outside of sections is
    /// `values` itself.
    ///
    /// Errors: a result beyond the [`crate::limits`], `{{#asJson}}` without a name in [`Dialect::Package`]; missing
    /// values are reported in the result.
    pub fn render_value(&self, values: &Value, dialect: Dialect) -> Result<Rendered, RenderError> {
        Renderer::new(self, None, dialect).run(Some(values.into()))
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
    variables: Option<&'r dyn Lookup>,
    dialect: Dialect,
    result: Rendered,
    /// Values of the sections around the current node, innermost last: where names are looked up, and what `{{.}}` is.
    scopes: Vec<Item<'r>>,
    steps: usize,
    /// Tags already reported as missing. Only lists evaluate a tag twice, so outside of them nothing is kept here.
    reported: BTreeSet<usize>,
    /// How many lists are being iterated.
    lists: usize,
}

impl<'r> Renderer<'r> {
    fn new(template: &'r Template, variables: Option<&'r dyn Lookup>, dialect: Dialect) -> Self {
        let text = String::with_capacity(template.source.len());
        let result = Rendered { text, missing: Vec::new(), uses: Vec::new(), pieces: Vec::new() };
        let (scopes, reported) = (Vec::new(), BTreeSet::new());
        Self { template, variables, dialect, result, scopes, steps: 0, reported, lists: 0 }
    }

    fn run(mut self, root: Option<Item<'r>>) -> Result<Rendered, RenderError> {
        self.scopes.extend(root);
        self.nodes(0..self.template.nodes.len())?;
        Ok(self.result)
    }

    fn nodes(&mut self, range: Range<usize>) -> Result<(), RenderError> {
        let mut index = range.start;
        while index < range.end {
            self.spend(1)?;
            index = match &self.template.nodes[index] {
                Node::Text(range) => {
                    self.push(&self.template.source[range.clone()], range.start, true)?;
                    index + 1
                }
                Node::Tag(tag) if tag.kind.is_printed() => {
                    self.variable(tag)?;
                    index + 1
                }
                Node::Tag(tag) => {
                    match self.template.as_json(index, self.dialect) {
                        Some(name) => self.as_json(tag, name)?,
                        None => self.section(tag, index + 1..tag.end)?,
                    }
                    tag.end
                }
            };
        }
        Ok(())
    }

    fn section(&mut self, tag: &'r Tag, body: Range<usize>) -> Result<(), RenderError> {
        let item = self.resolve(&tag.name)?;
        let at = self.result.text.len();
        self.note(tag.name.clone(), tag.kind, item, tag, at, false);
        if let (Dialect::Config, Some(Item::Text(text))) = (self.dialect, item) {
            // Judging a text of blanks reads all of them.
            self.spend((text.len() - text.trim_start().len()) / 16)?;
        }
        let is_shown = item.is_some_and(|item| self.dialect.is_item_truthy(item));
        match item {
            Some(item) if is_shown && tag.kind == UseKind::Section => self.repeat(item, body),
            _ if !is_shown && tag.kind == UseKind::Inverted => self.nodes(body),
            _ => Ok(()),
        }
    }

    /// The body of a section, once for each item of a list, else once.
    fn repeat(&mut self, item: Item<'r>, body: Range<usize>) -> Result<(), RenderError> {
        let Item::List(items) = item else {
            self.scopes.push(item);
            self.nodes(body)?;
            self.scopes.pop();
            return Ok(());
        };
        self.lists += 1;
        for item in items {
            // A body without nodes takes a step too.
            self.spend(1)?;
            self.scopes.push(item.into());
            self.nodes(body.clone())?;
            self.scopes.pop();
        }
        self.lists -= 1;
        Ok(())
    }

    fn variable(&mut self, tag: &'r Tag) -> Result<(), RenderError> {
        let item = self.resolve(&tag.name)?;
        let start = self.result.text.len();
        let is_raw = tag.kind == UseKind::Raw;
        let mut differs_from_sdk = false;
        match item {
            None | Some(Item::Null) => {}
            Some(Item::Bool(value)) => self.push(if value { "true" } else { "false" }, tag.range.start, false)?,
            Some(Item::Number(number)) => self.push(number, tag.range.start, false)?,
            Some(Item::Text(text)) => {
                let spelled = self.dialect.spell(text);
                differs_from_sdk = !is_raw && self.dialect.differs_from_sdk(spelled);
                let escaped = if is_raw { self.dialect.escape_raw(spelled) } else { self.dialect.escape(spelled) };
                self.push(&escaped, tag.range.start, false)?;
            }
            Some(item @ (Item::List(_) | Item::Map(_))) => {
                let json = json::text(item, MAX_RENDERED_BYTES - start)?;
                let is_escaped = !is_raw && self.dialect == Dialect::Config;
                let escaped = if is_escaped { self.dialect.escape(&json) } else { Cow::Borrowed(json.as_str()) };
                self.push(&escaped, tag.range.start, false)?;
            }
        }
        self.note(tag.name.clone(), tag.kind, item, tag, start, differs_from_sdk);
        if item.is_none() {
            self.miss(tag.name.clone(), tag);
        }
        Ok(())
    }

    /// `{{#asJson}}name{{/asJson}}`.
    fn as_json(&mut self, tag: &'r Tag, name: &'r str) -> Result<(), RenderError> {
        if name.is_empty() {
            return Err(RenderError::BadAsJson { position: tag.position });
        }
        let item = self.resolve(name)?;
        let start = self.result.text.len();
        if let Some(item) = item {
            let json = json::text(item, MAX_RENDERED_BYTES - start)?;
            self.push(&json, tag.range.start, false)?;
        }
        self.note(name.into(), UseKind::Json, item, tag, start, false);
        if item.is_none() {
            self.miss(name.into(), tag);
        }
        Ok(())
    }

    /// What a name means here: innermost scope first; the first part of a path decides where the rest is looked up.
    fn resolve(&mut self, name: &str) -> Result<Option<Item<'r>>, RenderError> {
        self.spend(name.len() / 64)?;
        if name == "." {
            return Ok(self.scopes.last().copied());
        }
        let path = name.split_once('.');
        let is_whole = path.is_none() || self.dialect.has_whole_names();
        for scope in self.scopes.iter().rev() {
            if let Some(item) = scope.get(name).filter(|_| is_whole) {
                return Ok(Some(item));
            }
            if let Some((first, rest)) = path
                && let Some(item) = scope.get(first)
            {
                return Ok(rest.split('.').try_fold(item, Item::get));
            }
        }
        let flat = self.variables.filter(|_| is_whole);
        Ok(flat.and_then(|variables| variables.lookup(name)).map(Item::Text))
    }

    fn miss(&mut self, name: Arc<str>, tag: &Tag) {
        if self.lists == 0 || self.reported.insert(tag.range.start) {
            self.result.missing.push(Missing { name, position: tag.position });
        }
    }

    fn note(
        &mut self,
        name: Arc<str>,
        kind: UseKind,
        item: Option<Item<'_>>,
        tag: &Tag,
        start: usize,
        differs_from_sdk: bool,
    ) {
        let state = match item {
            None => UseState::Unset,
            Some(item) if item.is_empty() => UseState::Empty,
            Some(_) => UseState::Set,
        };
        let rendered = start..self.result.text.len();
        self.result.uses.push(Use { name, kind, state, tag: tag.range.clone(), rendered, differs_from_sdk });
    }

    fn spend(&mut self, steps: usize) -> Result<(), RenderError> {
        self.steps += steps;
        if self.steps > MAX_STEPS { Err(RenderError::TooManySteps) } else { Ok(()) }
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
