//! Where a template uses variables: as written ([`Reference`]) and as evaluated ([`Use`]).

use std::{ops::Range, sync::Arc};

use crate::{
    dialect::Dialect,
    parse::{Node, Template},
    position::Position,
};

/// Kinds of tags that use a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UseKind {
    /// `{{X}}`: the value is printed, escaped as the dialect says.
    Value,
    /// `{{{X}}}` or `{{&X}}`: the value is printed unescaped.
    Raw,
    /// `{{#asJson}}X{{/asJson}}`: the value is printed as JSON.
    Json,
    /// `{{#X}}`: the value decides about a section.
    Section,
    /// `{{^X}}`: the value decides about an inverted section.
    Inverted,
}

impl UseKind {
    /// Whether the value is printed; otherwise it decides about a section.
    pub fn is_printed(self) -> bool {
        match self {
            Self::Value | Self::Raw | Self::Json => true,
            Self::Section | Self::Inverted => false,
        }
    }

    /// A word for it: `value`, `raw`, `json`, `section` or `inverted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Raw => "raw",
            Self::Json => "json",
            Self::Section => "section",
            Self::Inverted => "inverted",
        }
    }
}

/// One evaluation of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Name of the variable.
    pub name: Arc<str>,
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

/// What the value of a used variable was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseState {
    /// Not set.
    Unset,
    /// Set to the empty text, an empty list or map, or null.
    Empty,
    /// Set.
    Set,
}

/// A tag that uses a variable, as the template has it; whether it is ever evaluated depends on the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'t> {
    /// Name of the variable.
    pub name: &'t str,
    /// What kind of tag.
    pub kind: UseKind,
    /// Byte offset of the tag in the template; [`Use::tag`] of its evaluations starts here.
    pub offset: usize,
    /// Where the tag stands.
    pub position: Position,
    /// How many sections it stands in.
    pub depth: usize,
}

impl Template {
    /// Every use of a variable in the template, in its order, without rendering it.
    ///
    /// The dialect decides about names with a meaning of their own: `{{#asJson}}X{{/asJson}}` uses `X` in
    /// [`Dialect::Package`] and `asJson` elsewhere.
    pub fn references(&self, dialect: Dialect) -> impl Iterator<Item = Reference<'_>> {
        let mut ends = Vec::new();
        self.nodes.iter().enumerate().filter_map(move |(index, node)| {
            while ends.last().is_some_and(|end| *end <= index) {
                ends.pop();
            }
            let Node::Tag(tag) = node else { return None };
            let depth = ends.len();
            let (name, kind) = match self.as_json(index, dialect) {
                Some(name) => (name, UseKind::Json),
                None => (&*tag.name, tag.kind),
            };
            if !tag.kind.is_printed() {
                ends.push(tag.end);
            }
            Some(Reference { name, kind, offset: tag.range.start, position: tag.position, depth })
        })
    }

    /// The variable named inside `{{#asJson}}…{{/asJson}}`, empty when there is not exactly one name there; `None` for
    /// every other node.
    pub(crate) fn as_json(&self, index: usize, dialect: Dialect) -> Option<&str> {
        let Some(Node::Tag(tag)) = self.nodes.get(index) else { return None };
        if dialect != Dialect::Package || tag.kind != UseKind::Section || &*tag.name != "asJson" {
            return None;
        }
        let Some([Node::Text(range)]) = self.nodes.get(index + 1..tag.end) else { return Some("") };
        let name = self.source[range.clone()].trim();
        Some(if name.contains(char::is_whitespace) { "" } else { name })
    }
}
