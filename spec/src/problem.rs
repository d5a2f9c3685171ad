//! Problems while they are collected, and the places they are at.
//!
//! Places are byte ranges of the rendered text until the end, when they become places in the template.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use mainstay_template::{Lines, Position, Rendered, Template, Use, UseState};

use crate::{
    code::{Code, Severity},
    diagnostic::Diagnostic,
    yaml::literal,
};

/// Most problems collected for one specification; whoever has more starts with these.
const MAX_PROBLEMS: usize = 1000;

/// A byte range of the rendered text.
pub(crate) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// The two texts of a specification and how they belong together.
pub(crate) struct Places<'t> {
    template: &'t Template,
    template_lines: Lines,
    rendered: &'t Rendered,
    rendered_lines: Lines,
}

impl<'t> Places<'t> {
    pub(crate) fn new(template: &'t Template, rendered: &'t Rendered) -> Self {
        Self {
            template,
            template_lines: Lines::new(template.source()),
            rendered,
            rendered_lines: Lines::new(&rendered.text),
        }
    }

    /// The place in the template of a byte of the rendered text.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let source = self.rendered.source_offset(offset).min(self.template.source().len());
        self.template_lines.position(self.template.source(), source)
    }

    /// The variable without a value that stands right behind a key: why there is nothing.
    fn absent_after(&self, key: &Span) -> Option<&'t Use> {
        let behind = &self.rendered.text[key.end..];
        let is_filler = |byte: &u8| matches!(byte, b' ' | b'\t' | b':' | b'"' | b'\'');
        let blanks = behind.bytes().take(256).take_while(is_filler).count();
        let first = self.rendered.uses.partition_point(|used| used.rendered.start < key.end);
        let uses = self.rendered.uses.get(first..).unwrap_or_default();
        uses.iter()
            .take_while(|used| used.rendered.start <= key.end + blanks)
            .find(|used| used.kind.is_printed() && used.state != UseState::Set)
    }

    /// Where a part of a scalar's value stands; all of the scalar when that cannot be said.
    pub(crate) fn inside(&self, scalar: &Spanned<String>, part: Range<usize>) -> Span {
        let span = &scalar.span;
        let source = self.rendered.text.get(span.clone()).unwrap_or_default();
        let found = literal::inside(source, &scalar.value, part);
        found.map_or_else(|| span.clone(), |found| span.start + found.start..span.start + found.end)
    }

    /// An advice to write something in a scalar, in the words of its style.
    pub(crate) fn as_written(&self, scalar: &Spanned<String>, help: String) -> String {
        let source = self.rendered.text.get(scalar.span.clone()).unwrap_or_default();
        let (quote, escape) = match source.chars().next() {
            Some('"') if help.contains(['\\', '"']) => {
                ("double", "a backslash is written \\\\ and a double quote \\\"")
            }
            Some('\'') if help.contains('\'') => ("single", "a single quote is written ''"),
            _ => return help,
        };
        format!("{help} (in {quote} quotes {escape})")
    }

    /// Variables whose value makes up part of this span.
    fn present_in(&self, span: &Span) -> Vec<&'t str> {
        let first = self.rendered.uses.partition_point(|used| used.rendered.end <= span.start);
        let mut names = Vec::new();
        for used in self.rendered.uses.get(first..).unwrap_or_default() {
            if used.rendered.start >= span.end {
                break;
            }
            let is_part = used.kind.is_printed() && !used.rendered.is_empty();
            if is_part && !names.contains(&&*used.name) {
                names.push(&*used.name);
            }
        }
        names
    }

    fn diagnostic(&self, file: &str, problem: Problem) -> Diagnostic {
        let Problem { code, path, message, help, at, tag, known, shows_rendered } = problem;
        let source = self.template.source();
        let start = self.rendered.source_offset(at.start).min(source.len());
        let marked = tag.unwrap_or_else(|| start..self.marked_end(&at, start));
        let position = self.template_lines.position(source, marked.start);
        let marked = source.get(marked).map_or(1, |text| text.lines().next().unwrap_or_default().chars().count());
        let rendered = self.rendered_lines.position(&self.rendered.text, at.start);
        let rendered_excerpt = shows_rendered.then(|| {
            let part = self.rendered.text.get(at).unwrap_or_default();
            let marked = part.lines().next().unwrap_or_default().chars().count().max(1);
            (self.rendered_lines.line(&self.rendered.text, rendered.line).to_owned(), marked)
        });
        Diagnostic {
            code,
            severity: code.severity(),
            file: file.to_owned(),
            position,
            rendered: Some(rendered),
            rendered_excerpt,
            path,
            message,
            help,
            excerpt: self.template_lines.line(source, position.line).to_owned(),
            marked: marked.max(1),
            known,
        }
    }

    /// Where the mark of a span ends in the template: the end of its last byte, or of the tag that byte came from.
    fn marked_end(&self, at: &Span, start: usize) -> usize {
        let Some(last) = at.end.checked_sub(1).filter(|last| *last >= at.start) else { return start + 1 };
        let source = self.rendered.source_offset(last);
        let after = self.rendered.uses.partition_point(|used| used.rendered.start <= last);
        let before = self.rendered.uses.get(..after).unwrap_or_default();
        let tag =
            before.iter().rev().find(|used| !used.rendered.is_empty()).filter(|used| used.rendered.contains(&last));
        tag.map_or(source + 1, |used| used.tag.end)
    }
}

/// A problem as it is found.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) at: Span,
    /// The tag of the template to mark instead, when the problem is that it printed nothing.
    pub(crate) tag: Option<Range<usize>>,
    /// The keys known at this place, when the problem is an unknown one.
    pub(crate) known: Vec<&'static str>,
    /// Whether the line of the rendered text tells more than that of the template.
    pub(crate) shows_rendered: bool,
}

/// Collects problems.
pub(crate) struct Problems<'t> {
    pub(crate) places: Places<'t>,
    list: Vec<Problem>,
    errors: usize,
    /// Unset variables already named by a problem.
    named: BTreeSet<String>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(places: Places<'t>) -> Self {
        Self { places, list: Vec::new(), errors: 0, named: BTreeSet::new() }
    }

    pub(crate) fn push(&mut self, code: Code, path: &str, at: &Span, message: impl Into<String>) {
        self.push_with_help(code, path, at, message, None);
    }

    pub(crate) fn push_with_help(
        &mut self,
        code: Code,
        path: &str,
        at: &Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let is_error = code.severity() == Severity::Error;
        if self.list.len() >= MAX_PROBLEMS && (self.errors > 0 || !is_error) {
            return;
        }
        self.errors += usize::from(is_error);
        let (path, message) = (path.to_owned(), message.into());
        self.list.push(Problem {
            code,
            path,
            message,
            help,
            at: at.clone(),
            tag: None,
            known: Vec::new(),
            shows_rendered: false,
        });
    }

    /// A key that is not among the known ones of its mapping.
    pub(crate) fn unknown_key(
        &mut self,
        code: Code,
        path: &str,
        at: &Span,
        message: String,
        help: Option<String>,
        known: &[&'static str],
    ) {
        let before = self.list.len();
        self.push_with_help(code, path, at, message, help);
        if let Some(last) = self.list.get_mut(before) {
            last.known = known.to_vec();
        }
    }

    /// Marks a tag of the template with the problem pushed last.
    fn mark_tag(&mut self, code: Code, tag: &Range<usize>) {
        if let Some(last) = self.list.last_mut().filter(|last| last.code == code) {
            last.tag = Some(tag.clone());
        }
    }

    /// Says what was found instead of what is allowed, and which variable it came from.
    pub(crate) fn found(&mut self, code: Code, path: &str, at: &Span, found: &str, allowed: &str) {
        let names = self.places.present_in(at);
        let origin = if names.is_empty() { String::new() } else { format!(" (from {})", names.join(", ")) };
        self.push(code, path, at, format!("found {}{origin}; {allowed}", shorten(found)));
    }

    /// Says what is wrong in a part of a text, which need not be the text of one line or of one tag.
    pub(crate) fn found_inside(
        &mut self,
        code: Code,
        path: &str,
        text: &Spanned<String>,
        part: Range<usize>,
        allowed: &str,
        help: Option<String>,
    ) {
        let found = shorten_around(&text.value, part.start);
        let names = self.places.present_in(&self.places.inside(text, part.clone()));
        let origin = if names.is_empty() { String::new() } else { format!(" (from {})", names.join(", ")) };
        self.push_inside(code, path, text, part, format!("found {found}{origin}; {allowed}"), help);
    }

    /// Pushes a problem of a part of a text; where a tag printed that part, the rendered line is shown as well.
    pub(crate) fn push_inside(
        &mut self,
        code: Code,
        path: &str,
        text: &Spanned<String>,
        part: Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        let at = self.places.inside(text, part);
        let is_printed = !self.places.present_in(&(at.start..at.end.max(at.start + 1))).is_empty();
        let before = self.list.len();
        self.push_with_help(code, path, &at, message, help);
        if let Some(last) = self.list.get_mut(before) {
            last.shows_rendered = is_printed;
        }
    }

    /// Says that nothing stands behind a key, naming the variable that should have put something there.
    pub(crate) fn absent_value(&mut self, path: &str, key: &Span, wanted: &str) {
        let Some(used) = self.places.absent_after(key) else {
            self.push(Code::MissingValue, path, key, format!("is empty; {wanted} is needed"));
            return;
        };
        let (name, tag) = (used.name.to_string(), used.tag.clone());
        let (state, help) = match used.state {
            UseState::Unset => ("not set", format!("set {name}")),
            UseState::Empty | UseState::Set => ("set to nothing", format!("give {name} a value")),
        };
        self.named.insert(name.clone());
        let message = format!("is empty because the variable {name} is {state}; {wanted} is needed");
        self.push_with_help(Code::MissingValue, path, key, message, Some(help));
        self.mark_tag(Code::MissingValue, &tag);
    }

    /// Says that an item of a list is nothing and passed over, naming the variable that should have put something there.
    pub(crate) fn skipped_item(&mut self, path: &str, at: &Span) {
        let Some(used) = self.places.absent_after(at) else {
            return self.push(Code::EmptyListItem, path, at, "is empty and skipped");
        };
        let (name, tag) = (used.name.clone(), used.tag.clone());
        let state = if used.state == UseState::Unset { "not set" } else { "set to nothing" };
        self.push(
            Code::EmptyListItem,
            path,
            at,
            format!("is empty because the variable {name} is {state}, and skipped"),
        );
        self.named.insert(name.to_string());
        self.mark_tag(Code::EmptyListItem, &tag);
    }

    /// Forgets the features noted at or below a path, because what stands there has no effect.
    pub(crate) fn forget_features(&mut self, path: &str) {
        self.list.retain(|problem| {
            let is_below = problem.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            problem.code != Code::NotSupportedYet || !is_below
        });
    }

    /// Whether nothing stands behind a key because a variable is not set at all.
    pub(crate) fn is_unset_after(&self, key: &Span) -> bool {
        self.places.absent_after(key).is_some_and(|used| used.state == UseState::Unset)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether further errors would be dropped, so that there is no need to describe them.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PROBLEMS && self.has_errors()
    }

    /// Adds what the rendering noted: unset variables, values the SDK would have escaped, leftover tags.
    pub(crate) fn note_rendering(&mut self) {
        let rendered = self.places.rendered;
        let mut lines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for missing in &rendered.missing {
            let lines = lines.entry(&missing.name).or_default();
            if lines.last() != Some(&missing.position.line) {
                lines.push(missing.position.line);
            }
        }
        let mut seen = BTreeSet::new();
        for used in rendered.uses.iter().filter(|used| used.kind.is_printed()) {
            let name = &*used.name;
            let is_news = used.state == UseState::Unset && !self.named.contains(name);
            if is_news && seen.insert((Code::VariableUnset, name)) {
                let lines = lines.get(name).map(Vec::as_slice).unwrap_or_default();
                let shown: Vec<_> = lines.iter().take(20).map(usize::to_string).collect();
                let places = if lines.len() > 1 { format!(" (lines {})", shown.join(", ")) } else { String::new() };
                let message = format!("the variable {name} is not set; nothing is put in its place{places}");
                self.push(Code::VariableUnset, "", &used.rendered, message);
                self.mark_tag(Code::VariableUnset, &used.tag);
            }
            if used.differs_from_sdk && seen.insert((Code::ValueNotEscaped, name)) {
                let message = format!("the value of {name} is used as it is; the SDK would have escaped parts of it");
                let help = Some(format!("write {{{{{{{name}}}}}}} to mean the same everywhere"));
                self.push_with_help(Code::ValueNotEscaped, "", &used.rendered, message, help);
            }
        }
        if let Some(span) = leftover_tag(&self.places.rendered.text) {
            let tag = &self.places.rendered.text[span.clone()];
            let message = format!("the rendered text still contains {tag}");
            self.push(Code::LeftoverTag, "", &span, message);
        }
    }

    /// The problems with their places in the template, sorted.
    pub(crate) fn into_diagnostics(self, file: &str) -> Vec<Diagnostic> {
        let places = self.places;
        let mut diagnostics: Vec<_> = self.list.into_iter().map(|problem| places.diagnostic(file, problem)).collect();
        sort(&mut diagnostics);
        diagnostics
    }
}

/// Sorts by place; problems of one place stay in the order they were found in, apart from their kind.
pub(crate) fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.position, diagnostic.severity, diagnostic.code));
    diagnostics.dedup();
}

/// A found value as it is quoted in a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut characters = text.chars();
    let shown: String = characters.by_ref().take(40).collect();
    let more = if characters.next().is_some() { "…" } else { "" };
    format!("{:?}", format!("{shown}{more}"))
}

/// A found value as it is quoted in a message about what stands at byte `at` of it.
fn shorten_around(text: &str, at: usize) -> String {
    let before = text.get(..at).map_or(0, |before| before.chars().count());
    // What fits is shown whole, and as much before the part as there is room for.
    let skipped = before.saturating_sub(10).min((text.chars().count() + 1).saturating_sub(40));
    if before <= 30 || skipped <= 1 {
        return shorten(text);
    }
    let rest: String = std::iter::once('…').chain(text.chars().skip(skipped)).collect();
    shorten(&rest)
}

/// The first `{{NAME}}` of a text, with a name of capitals, digits and underscores.
fn leftover_tag(text: &str) -> Option<Span> {
    let mut from = 0;
    while let Some(found) = text[from..].find("{{") {
        let start = from + found;
        let name = &text[start + 2..];
        let length = name.bytes().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_').count();
        if length > 0 && name[length..].starts_with("}}") {
            return Some(start..start + length + 4);
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::shorten_around;

    #[test]
    fn a_long_value_is_cut_around_what_is_wrong_in_it() {
        let digits = "0123456789".repeat(6);
        let shown = |length: usize, at: usize| shorten_around(&digits[..length], at);
        assert_eq!(shown(40, 39), format!("{:?}", &digits[..40]));
        assert_eq!(shown(60, 30), format!("{:?}", format!("{}…", &digits[..40])));
        assert_eq!(shown(60, 31), format!("{:?}", format!("…{}", &digits[21..60])));
        assert_eq!(shown(60, 60), format!("{:?}", format!("…{}", &digits[21..60])));
        assert_eq!(shown(41, 40), format!("{:?}", format!("…{}", &digits[2..41])));
    }
}
