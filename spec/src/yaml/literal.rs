//! Where a part of a scalar stands in the text it was read from.
//!
//! Not a second reader: it walks the text as written and the value beside each other, and gives up where they part.

use std::ops::Range;

/// The place in `source`, the scalar as it is written, of a part of its `value`.
///
/// Shape: `source` is what the parser calls the span of the scalar: with its quotes; of a block without the header and the
/// indentation of the first line. `None` when the two do not correspond: blanks escaped beside a folded line, halves of
/// surrogate pairs.
pub(crate) fn inside(source: &str, value: &str, part: Range<usize>) -> Option<Range<usize>> {
    let quoted = source.chars().next().filter(|first| matches!(first, '\'' | '"')).and_then(|quote| {
        let body = source.get(1..source.len().checked_sub(1)?)?;
        let found = Walk { body, value, quote: Some(quote), at: 0, read: 0 }.find(&part)?;
        Some(1 + found.start..1 + found.end)
    });
    // The first line of a block may begin with a quote as well.
    quoted.or_else(|| Walk { body: source, value, quote: None, at: 0, read: 0 }.find(&part))
}

/// Goes through both texts, one character or one line break with its indentation at a time.
struct Walk<'a> {
    body: &'a str,
    value: &'a str,
    quote: Option<char>,
    /// Byte of `body`.
    at: usize,
    /// Byte of `value`.
    read: usize,
}

impl Walk<'_> {
    fn find(mut self, part: &Range<usize>) -> Option<Range<usize>> {
        let mut start = None;
        let mut end = 0;
        if self.quote.is_none() {
            // Blank lines before the first are not in the source of a block, whose indentation is.
            self.at = blanks(self.body);
            self.read = blanks(self.value);
            start = (part.start < self.read).then_some(self.at);
            end = self.at;
        }
        while self.read < self.value.len() {
            let (at, is_break) = (self.at, self.step()?);
            if part.start < self.read && start.is_none() {
                start = Some(at);
            }
            // A part that ends with a line does not reach into the next.
            end = if is_break { at } else { self.at };
            if part.end <= self.read {
                break;
            }
        }
        // The end of the value is a place too.
        let start = start.unwrap_or(end);
        let found = start..end.max(start);
        self.body.get(found.clone()).map(|_| found)
    }

    /// Takes the next piece from both; whether it is a line break.
    fn step(&mut self) -> Option<bool> {
        let (written, value) = (self.body.get(self.at..)?, self.value.get(self.read..)?);
        let run = blanks(written);
        if written.get(..run)?.contains('\n') {
            // A break stands for itself, a blank or nothing, and the indentation behind it for what is more than the block's.
            self.at += run;
            self.read += blanks(value);
            return Some(true);
        }
        let mut chars = written.chars();
        let first = chars.next()?;
        let wanted = value.chars().next()?;
        let mut length = first.len_utf8();
        let char = match (self.quote, first) {
            (Some('\''), '\'') => {
                length += 1;
                chars.next().filter(|second| *second == '\'')?
            }
            (Some('"'), '\\') => {
                let escape = chars.next()?;
                length += escape.len_utf8();
                match escape {
                    '\n' => {
                        // The lines are joined; the next begins behind its indentation.
                        self.at += length + blanks(chars.as_str());
                        return Some(false);
                    }
                    'x' => length += 2,
                    'u' => length += 4,
                    'U' => length += 8,
                    _ => {}
                }
                wanted
            }
            (_, other) => other,
        };
        if char != wanted {
            return None;
        }
        self.at += length;
        self.read += wanted.len_utf8();
        Some(false)
    }
}

/// How many bytes of blanks and line breaks a text begins with.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len()
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
        check(r#""\u00e9:b""#, "é:b", "b", Some("b"));
        check(r#""\u00e9:b""#, "é:b", "é", Some(r"\u00e9"));
        check(r#""\ud83d\ude00:b""#, "\u{1f600}:b", "b", None);
        check("'é:b'", "é:b", "b", Some("b"));
        check("' a'", " a", "a", Some("a"));
    }

    #[test]
    fn a_part_is_found_in_text_of_several_lines() {
        check("'first\n  second'", "first second", "second", Some("second"));
        check("\"first\n\n  sec\\\n  ond x\"", "first\nsecond x", "x", Some("x"));
        check("\"first\\\n  second\"", "firstsecond", "second", Some("second"));
        check("first\n  second\n\n  third", "first second\nthird", "third", Some("third"));
        check("first\r\n  second\r\n", "first\nsecond\n", "second", Some("second"));
        check("first\n    second\n  third\n", "first\n  second\nthird\n", "second", Some("second"));
        check("first\n    second\n  third\n", "first\n  second\nthird\n", "third", Some("third"));
        // The blank line before the first is not in the source; the first has more indentation than the block.
        check(" first\n  second\n\n", "\n first\nsecond\n\n", "second", Some("second"));
        check(" first\n  second\n\n", "\n first\nsecond\n\n", "first", Some("first"));
        check("\"first\" 'second\n  third\n", "\"first\" 'second third\n", "third", Some("third"));
        // The end of a value is that of its last line, chomped or not.
        for value in ["first\nsecond", "first\nsecond\n"] {
            let end = "first\n  second".len();
            assert_eq!(super::inside("first\n  second\n\n", value, value.len()..value.len()), Some(end..end));
            assert_eq!(super::inside("first\n  second\n\n", value, 6..value.len()), Some(8..end));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            source in "['\"]?[a\\\\é \n'\"ux0]{0,20}",
            value in "[aé \n'\"0]{0,20}",
            start in 0..20_usize,
            end in 0..20_usize,
        ) {
            if let Some(found) = super::inside(&source, &value, start..end) {
                proptest::prop_assert!(found.end <= source.len() && found.start <= found.end);
            }
        }
    }
}
