//! Where a part of a scalar stands in the text it was read from.

use std::ops::Range;

/// The place in `source`, the scalar as it is written, of a part of its `value`.
///
/// `None` when the two do not correspond character by character: block scalars, folded lines, rare escapes.
pub(crate) fn inside(source: &str, value: &str, part: Range<usize>) -> Option<Range<usize>> {
    let (quote, body, begin) = match source.chars().next()? {
        quote @ ('\'' | '"') => (Some(quote), source.get(1..source.len().checked_sub(1)?)?, 1),
        _ => (None, source, 0),
    };
    let mut written = body.char_indices().peekable();
    let mut read = value.char_indices();
    let mut start = None;
    loop {
        let at = written.peek().map_or(body.len(), |(at, _)| *at);
        let Some((value_at, wanted)) = read.next() else {
            // The end of the value is a place too.
            start = start.or_else(|| (part.start >= value.len()).then_some(at));
            return Some(begin + start?..begin + at);
        };
        if value_at >= part.start && start.is_none() {
            start = Some(at);
        }
        if let Some(start) = start.filter(|_| value_at >= part.end && part.end > part.start) {
            return Some(begin + start..begin + at);
        }
        let (_, first) = written.next()?;
        let char = match (quote, first) {
            (Some('\''), '\'') => written.next().filter(|(_, second)| *second == '\'')?.1,
            (Some('"'), '\\') => match written.next()?.1 {
                'n' => '\n',
                't' => '\t',
                same @ ('"' | '\\' | '/') => same,
                _ => return None,
            },
            (_, other) => other,
        };
        if char != wanted {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(source: &str, value: &str, part: &str, expected: Option<&str>) {
        let start = value.find(part).unwrap_or(value.len());
        let found = super::inside(source, value, start..start + part.len());
        assert_eq!(found.clone().map(|range| &source[range]), expected, "{source}: {found:?}");
    }

    #[test]
    fn a_part_is_found_in_every_style_of_one_line() {
        check("a:NEAR:b", "a:NEAR:b", "NEAR", Some("NEAR"));
        check("'a:NEAR:b'", "a:NEAR:b", "b", Some("b"));
        check("'it''s:NEAR'", "it's:NEAR", "NEAR", Some("NEAR"));
        check("'it''s'", "it's", "'s", Some("''s"));
        check(r#""[[\"a\", \"NEAR\"]]""#, r#"[["a", "NEAR"]]"#, r#""NEAR""#, Some(r#"\"NEAR\""#));
        check(r#""\u00e9:b""#, "é:b", "b", None);
        check("'first\n  second'", "first second", "second", None);
        check("|\n  text", "text\n", "text", None);
        check("'é:b'", "é:b", "b", Some("b"));
    }
}
