//! What a svc.yml may hold, as one table: mapping by mapping, key by key.
//!
//! Not the reader: `raw.rs` reads by hand, so that its messages fit. This table is what editors and documentation are made
//! from, and tests hold the two against each other: the same keys, the same required ones, the same bounds and words.
//! Next: `shape/service.rs`, `shape/pod.rs`, `shape/task.rs`, `shape/plan.rs`; `schema.rs` writes it as JSON Schema.

pub(crate) mod plan;
pub(crate) mod pod;
pub(crate) mod service;
pub(crate) mod task;

/// A mapping whose keys the language defines.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is called, unique.
    pub(crate) name: &'static str,
    /// One sentence about it.
    pub(crate) about: &'static str,
    /// Its keys, in groups so that mappings may share some.
    pub(crate) groups: &'static [&'static [Key]],
    /// Whether keys it does not define are a warning only.
    pub(crate) is_open: bool,
}

/// A key of a mapping.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One sentence about it.
    pub(crate) about: &'static str,
    pub(crate) is_required: bool,
    /// What it means to leave it out, as it would be written; `None` when nothing, or something that is computed.
    pub(crate) default: Option<&'static str>,
    pub(crate) generation: Generation,
}

/// Which generation of the SDK knows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Both,
    /// Only the generation of 2017; honoured or explained here, and advised against.
    Older,
    /// Only later ones.
    Later,
    /// None: an extension.
    Own,
}

/// What stands behind a key.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Any scalar, as its literal text.
    Text,
    /// The same; text of blanks only will not do.
    Filled,
    /// Text that matches this expression in full.
    Matching(&'static str),
    /// A whole number in these bounds.
    Whole(i64, i64),
    /// A number above zero.
    Amount,
    /// A number above zero, or `unlimited`.
    Limit,
    Boolean,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of the first words, or an older one, in any case.
    AnyCase(&'static [&'static str], &'static [&'static str]),
    /// A mapping.
    Map(&'static Shape),
    /// A mapping from names of the author's choice to mappings.
    Named(&'static Shape, Names),
    /// A mapping from names to scalars.
    Variables,
    /// `key:value,key:value`, or, where the older generation had one, a mapping.
    Labels {
        or_map: bool,
    },
    /// A list of mappings.
    List(&'static Shape),
    /// A list of scalars; empty items are skipped.
    Texts,
    /// A list of port numbers.
    Ports,
    /// The steps of a phase.
    Steps,
}

/// What names an author may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Any.
    Any,
    /// Parts of ids; at least one entry.
    Parts,
    /// These only.
    Listed(&'static [&'static str]),
}

impl Shape {
    /// Its keys, in the order of the table.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// Whether nothing at all may stand for it: a mapping without keys would do.
    pub(crate) fn may_be_null(&self) -> bool {
        self.keys().all(|key| !key.is_required)
    }
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, is_required: false, default: None, generation: Generation::Both }
}

impl Key {
    const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn older(mut self) -> Self {
        self.generation = Generation::Older;
        self
    }

    const fn later(mut self) -> Self {
        self.generation = Generation::Later;
        self
    }

    const fn own(mut self) -> Self {
        self.generation = Generation::Own;
        self
    }
}

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
