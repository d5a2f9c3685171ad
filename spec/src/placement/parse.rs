//! From the text of a constraint to rows of words: the three spellings.
//!
//! Not what the words mean: that is `marathon.rs`. What follows a mistake is read on, so that all are told at once.
//! Invariant: every word keeps where it stands in the text, for messages.

use std::ops::Range;

/// Why a constraint cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {})", at.start)]
pub struct ParseError {
    /// What is wrong and what is allowed.
    pub message: String,
    /// Bytes of the text that are wrong; none where something is missing.
    pub at: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl ParseError {
    pub(super) fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at, help: None }
    }
}

/// One word of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What it means, without quotes and escapes.
    pub(super) text: String,
    /// Where it stands, quotes and escapes included.
    pub(super) at: Range<usize>,
}

/// A row: field, operator, perhaps a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) words: Vec<Word>,
    pub(super) at: Range<usize>,
}

/// What is written, in any of the three spellings; no rows for an empty text or an empty list.
pub(super) struct Written<'t> {
    pub(super) text: &'t str,
    /// Those that could be read.
    pub(super) rows: Vec<Row>,
    /// What could not.
    pub(super) errors: Vec<ParseError>,
    /// Whether it is not JSON, so that commas and colons are escaped.
    pub(super) is_plain: bool,
}

/// Reads the words of a text.
pub(super) fn rows(text: &str) -> Written<'_> {
    let trimmed = text.trim_start();
    if trimmed.starts_with('[') {
        let mut json = Json { text: text.trim_end(), at: text.len() - trimmed.len(), errors: Vec::new() };
        let rows = json.document();
        return Written { text, rows, errors: json.errors, is_plain: false };
    }
    let rows = if trimmed.is_empty() { Vec::new() } else { plain(text) };
    Written { text, rows, errors: Vec::new(), is_plain: true }
}

/// `field:OPERATOR[:value],…`; `\,` and `\:` stand for themselves, any other backslash is kept.
fn plain(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    let mut begin = 0;
    let mut chars = text.char_indices().peekable();
    loop {
        let next = chars.next();
        let at = next.map_or(text.len(), |(at, _)| at);
        match next.map(|(_, char)| char) {
            Some('\\') => drop(chars.next_if(|(_, next)| matches!(next, ',' | ':'))),
            Some(',' | ':') | None => {
                words.push(plain_word(text, begin..at));
                begin = at + 1;
            }
            Some(_) => {}
        }
        if matches!(next, None | Some((_, ','))) {
            let words = std::mem::take(&mut words);
            let mut at = words.first().map_or(at, |word| word.at.start)..words.last().map_or(at, |word| word.at.end);
            if at.is_empty() {
                // Nothing can be marked but one of the commas around it.
                at = at.start.saturating_sub(1)..at.start.max(1);
            }
            rows.push(Row { words, at });
        }
        if next.is_none() {
            return rows;
        }
    }
}

/// A word without the blanks around it; one of blanks only stands where it begins.
fn plain_word(text: &str, at: Range<usize>) -> Word {
    let raw = text.get(at.clone()).unwrap_or_default();
    let word = raw.trim();
    let start = if word.is_empty() { at.start } else { at.start + raw.len() - raw.trim_start().len() };
    Word { text: unescaped(word), at: start..start + word.len() }
}

/// The plain form without its escapes.
pub(super) fn unescaped(text: &str) -> String {
    let mut chars = text.chars().peekable();
    let mut plain = String::with_capacity(text.len());
    while let Some(char) = chars.next() {
        let escaped = if char == '\\' { chars.next_if(|next| matches!(next, ',' | ':')) } else { None };
        plain.push(escaped.unwrap_or(char));
    }
    plain
}

/// The part of JSON that constraints use: lists of words, or one list. Numbers and booleans count as words.
struct Json<'a> {
    /// Without blanks at its end.
    text: &'a str,
    at: usize,
    /// Those behind which it could be read on. Where it could not, a method returns an error.
    errors: Vec<ParseError>,
}

impl Json<'_> {
    fn document(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Err(error) = self.rows(&mut rows) {
            self.errors.push(error);
        }
        rows
    }

    fn rows(&mut self, rows: &mut Vec<Row>) -> Result<(), ParseError> {
        let begin = self.at;
        self.expect("[")?;
        // Of one list: a word that could not be read makes it unusable.
        let mut flat = Vec::new();
        let (mut has_rows, mut has_words) = (false, false);
        while !self.ends(has_rows || has_words)? {
            let (item, is_row) = (self.at, self.peek() == Some('['));
            if is_row {
                let row = self.row()?;
                rows.extend(row.filter(|_| !has_words));
            } else {
                flat.push(self.word()?);
            }
            if (is_row && has_words) || (!is_row && has_rows) {
                let what = if is_row { "a list among words" } else { "a word among lists" };
                let message = format!("{what}: write either one list or a list of lists");
                self.errors.push(ParseError::new(message, item..self.at));
                flat.push(None);
            }
            (has_rows, has_words) = (has_rows || (is_row && !has_words), has_words || (!is_row && !has_rows));
        }
        let at = begin..self.at;
        self.blanks();
        if self.at < self.text.len() {
            self.errors.push(ParseError::new("text after the end of the list", self.at..self.text.len()));
        }
        if has_words {
            rows.extend(flat.into_iter().collect::<Option<_>>().map(|words| Row { words, at }));
        }
        Ok(())
    }

    /// `None` when a word of it could not be read.
    fn row(&mut self) -> Result<Option<Row>, ParseError> {
        let begin = self.at;
        self.expect("[")?;
        let mut words = Vec::new();
        while !self.ends(!words.is_empty())? {
            words.push(self.word()?);
        }
        let words: Option<Vec<Word>> = words.into_iter().collect();
        Ok(words.map(|words| Row { words, at: begin..self.at }))
    }

    /// Consumes the end of a list, or the comma before its next item.
    fn ends(&mut self, has_items: bool) -> Result<bool, ParseError> {
        self.blanks();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(true);
        }
        if has_items {
            self.expect(",]")?;
            self.blanks();
        }
        Ok(false)
    }

    /// `None` when it could not be read, which is noted.
    fn word(&mut self) -> Result<Option<Word>, ParseError> {
        let begin = self.at;
        if self.peek() == Some('"') {
            let text = self.string()?;
            return Ok(text.map(|text| Word { text, at: begin..self.at }));
        }
        let text = self.rest().split([',', '[', ']', '"']).next().unwrap_or_default().trim_end().to_owned();
        self.at += text.len();
        let at = begin..self.at;
        let is_number = text.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
        if (is_number && text.parse::<f64>().is_ok()) || text == "true" || text == "false" {
            return Ok(Some(Word { text, at }));
        }
        let error = ParseError::new("expected a text in double quotes", at);
        if text.is_empty() && !matches!(self.peek(), Some(',' | ']')) {
            return Err(error);
        }
        self.errors.push(error);
        Ok(None)
    }

    fn string(&mut self) -> Result<Option<String>, ParseError> {
        let begin = self.at;
        self.expect("\"")?;
        let mut text = Some(String::new());
        loop {
            let at = self.at;
            let Some(char) = self.next() else {
                return Err(ParseError::new("a text without its closing quote", begin..self.text.len()));
            };
            let char = match char {
                '"' => return Ok(text),
                '\\' => self.escape(),
                char if char.is_control() => Err("a control character in a text"),
                other => Ok(other),
            };
            match char {
                Ok(char) => text.iter_mut().for_each(|text| text.push(char)),
                Err(message) => {
                    self.errors.push(ParseError::new(message, at..self.at));
                    text = None;
                }
            }
        }
    }

    /// The character behind a backslash, or what is wrong there.
    fn escape(&mut self) -> Result<char, &'static str> {
        match self.next() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.code_unit()?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
                    self.at += 2;
                    units.push(self.code_unit()?);
                }
                match char::decode_utf16(units).collect::<Result<Vec<_>, _>>().as_deref() {
                    Ok([char]) => Ok(*char),
                    _ => Err("half of a surrogate pair"),
                }
            }
            _ => Err("an unknown escape; in JSON a backslash is written twice"),
        }
    }

    fn code_unit(&mut self) -> Result<u16, &'static str> {
        let length = self.rest().bytes().take(4).take_while(u8::is_ascii_hexdigit).count();
        let digits = self.rest().get(..length).filter(|_| length == 4);
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += length;
        unit.ok_or("an escape without its four digits")
    }

    /// Consumes the first of these characters; the others could stand there too.
    fn expect(&mut self, wanted: &str) -> Result<(), ParseError> {
        let first = wanted.chars().next();
        if self.peek() == first {
            self.at += first.map_or(0, char::len_utf8);
            return Ok(());
        }
        let wanted: Vec<_> = wanted.chars().map(|char| format!("'{char}'")).collect();
        // What stands there instead: all of a text, or up to what may stand between words.
        let rest = self.rest();
        let is_end = |(at, char): &(usize, char)| {
            *at > 0 && if rest.starts_with('"') { *char == '"' } else { ",[]\"".contains(*char) }
        };
        let length = rest
            .char_indices()
            .find(is_end)
            .map_or(rest.len(), |(at, char)| at + if rest.starts_with('"') { char.len_utf8() } else { 0 });
        Err(ParseError::new(format!("expected {}", wanted.join(" or ")), self.at..self.at + length))
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::placement::Rule;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        let rule = Rule::parse(text, "hello").unwrap();
        assert_eq!(rule.map_or_else(|| "-".to_owned(), |rule| rule.to_string()), expected, "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        assert_eq!(Rule::parse(text, "hello").unwrap_err().to_string(), expected, "{text}");
    }

    #[test]
    fn the_three_spellings_mean_the_same() {
        for text in [
            r#"[["hostname", "UNIQUE"], ["rack", "LIKE", "r[0-9],x:y"]]"#,
            r"hostname:UNIQUE,rack:LIKE:r[0-9]\,x\:y",
            " @hostname : unique , rack : like : r[0-9]\\,x\\:y ",
        ] {
            reads(text, "hostname max 1 of hello AND attribute rack LIKE r[0-9],x:y");
        }
        reads(r#"["@hostname", "MAX_PER", 2]"#, "hostname max 2 of hello");
        reads(r#" [ "HostName" , "MAX_PER" , "2" ] "#, "hostname max 2 of hello");
        reads(r#"["rack", "IS", "\u00e9\ud83d\ude00\n\"\\"]"#, "attribute rack IS \u{e9}\u{1f600}\n\"\\");
    }

    #[test]
    fn nothing_means_no_rule() {
        for text in ["", "  ", "[]", " [ ] "] {
            reads(text, "-");
        }
    }

    #[test]
    fn every_operator_on_every_field() {
        reads("hostname:CLUSTER:h1", "hostname IS h1");
        reads("@region:IS:west", "region IS west");
        reads("@zone:IS_NOT:a", "NOT (zone IS a)");
        reads("rack:UNLIKE:a.*", "NOT (attribute rack LIKE a.*)");
        reads("@zone:GROUP_BY", "zone spread over all of hello");
        reads("@zone:GROUP_BY:3", "zone spread over 3 of hello");
        reads("@zone:GROUP_BY:", "zone spread over all of hello");
        reads("rack:UNIQUE:ignored", "attribute rack max 1 of hello");
        // A backslash before anything else is the author's.
        reads(r"rack:LIKE:\d+\.x", r"attribute rack LIKE \d+\.x");
    }

    #[test]
    fn a_constraint_that_cannot_be_understood_says_where_and_what_is_allowed() {
        refuses(
            "hostname",
            "a constraint has a field, an operator and perhaps a value, this one has 1 part: 'hostname' (at byte 0)",
        );
        refuses(
            "a:UNIQUE,b:LIKE:x:y",
            "a constraint has a field, an operator and perhaps a value, this one has 4 parts: 'b:LIKE:x:y' (at byte 9)",
        );
        refuses(
            "a:UNIQUE,",
            "a constraint has a field, an operator and perhaps a value, this one is empty (at byte 8)",
        );
        refuses(
            "a:NEAR:b",
            "unknown operator 'NEAR'; there are UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER, IS, IS_NOT (at byte 2)",
        );
        refuses(":UNIQUE", "a constraint without a field (at byte 0)");
        refuses("@rack:UNIQUE", "unknown field '@rack'; there are @hostname, @region and @zone (at byte 0)");
        refuses("a:IS", "operator 'IS' needs a value (at byte 2)");
        refuses("a:LIKE: ", "operator 'LIKE' needs a value (at byte 2)");
        refuses("a:MAX_PER:0", "'0' is not a whole number of at least 1 (at byte 10)");
        refuses("a:MAX_PER:x", "'x' is not a whole number of at least 1 (at byte 10)");
        refuses("a:GROUP_BY: -1", "'-1' is not a whole number of at least 1 (at byte 12)");
        refuses("a:LIKE:(", "'(' is not a usable regular expression: unclosed group (at byte 7)");
        refuses("a:LIKE:)(", "')(' is not a usable regular expression: unopened group (at byte 7)");
        refuses(
            "a:LIKE:(?=x)",
            "'(?=x)' is not a usable regular expression: look-around, including look-ahead and look-behind, is not supported \
             (at byte 7)",
        );
        refuses(r#"["a", "UNIQUE"] x"#, "text after the end of the list (at byte 16)");
        refuses(r#"["a", "UNIQUE""#, "expected ',' or ']' (at byte 14)");
        refuses(r#"["a" "UNIQUE"]"#, "expected ',' or ']' (at byte 5)");
        refuses(r#"["a", UNIQUE]"#, "expected a text in double quotes (at byte 6)");
        refuses(r#"["a", "UNI"#, "a text without its closing quote (at byte 6)");
        refuses(r#"["a", "\d"]"#, "an unknown escape; in JSON a backslash is written twice (at byte 7)");
        refuses(r#"["a", "\u12"]"#, "an escape without its four digits (at byte 7)");
        refuses(r#"["a", "\ud800"]"#, "half of a surrogate pair (at byte 7)");
        refuses(
            r#"["a", ["b", "UNIQUE"]]"#,
            "a list among words: write either one list or a list of lists (at byte 6)",
        );
        refuses(
            r#"[["a", "UNIQUE"], "b"]"#,
            "a word among lists: write either one list or a list of lists (at byte 18)",
        );
        refuses("[[]]", "a constraint has a field, an operator and perhaps a value, this one is empty (at byte 1)");
    }

    /// Each error with the part it marks, and each remark.
    #[track_caller]
    fn tells(text: &str, expected: &[(&str, &str)]) {
        let reading = Rule::read(text, "hello");
        assert!(reading.rule.is_none() || reading.errors.is_empty(), "{text}");
        let errors = reading.errors.iter().map(|error| (&text[error.at.clone()], error.message.as_str()));
        let remarks = reading.remarks.iter().map(|remark| (&text[remark.at.clone()], remark.message.as_str()));
        let told: Vec<_> = errors.chain(remarks).collect();
        let told: Vec<_> =
            told.iter().map(|(part, message)| (*part, message.rsplit("; there are").last().unwrap())).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn every_error_is_told_and_marks_its_part() {
        let near = "unknown operator 'NEAR'";
        tells(
            "hostname:UNIQUE, rack : NEAR : r1 ,a:MAX_PER:0,media:LIKE:[x",
            &[
                ("NEAR", near),
                ("0", "'0' is not a whole number of at least 1"),
                ("[x", "'[x' is not a usable regular expression: unclosed character class"),
            ],
        );
        tells("@rack:NEAR", &[("@rack", "unknown field '@rack'"), ("NEAR", near)]);
        let part = |text: &str| format!("a constraint has a field, an operator and perhaps a value, this one {text}");
        let empty = part("is empty");
        tells(",a:UNIQUE,,", &[(",", &*empty); 3]);
        tells(
            "hostname,rack",
            &[("hostname", &*part("has 1 part: 'hostname'")), ("rack", &part("has 1 part: 'rack'"))],
        );
        tells(
            r#"[["a","NEAR"], ["\d", "IS", "\q"], ["b", IS, "c"], ["c", "LIKE", "("], "d", ["e"]"#,
            &[
                (r#""NEAR""#, near),
                (r"\d", "an unknown escape; in JSON a backslash is written twice"),
                (r"\q", "an unknown escape; in JSON a backslash is written twice"),
                ("IS", "expected a text in double quotes"),
                (r#""(""#, "'(' is not a usable regular expression: unclosed group"),
                (r#""d""#, "a word among lists: write either one list or a list of lists"),
                (r#"["e"]"#, &part("has 1 part: 'e'")),
                ("", "expected ',' or ']'"),
            ],
        );
        tells(r#"["a", "UNIQUE"] x "#, &[("x", "text after the end of the list")]);
        tells(r#"["a" "UNIQUE", "b"]"#, &[(r#""UNIQUE""#, "expected ',' or ']'")]);
        tells(
            r#"["a", ["b", "NEAR"]]"#,
            &[(r#"["b", "NEAR"]"#, "a list among words: write either one list or a list of lists")],
        );
        tells(&vec!["a:NEAR"; 101].join(","), &[("a:NEAR", "a placement has at most 100 constraints")]);
    }

    #[track_caller]
    fn helps(text: &str, part: &str, expected: Option<&str>) {
        let reading = Rule::read(text, "hello");
        let errors = reading.errors.iter().map(|error| (&text[error.at.clone()], error.help.as_deref()));
        let remarks = reading.remarks.iter().map(|remark| (&text[remark.at.clone()], remark.help.as_deref()));
        assert_eq!(errors.chain(remarks).collect::<Vec<_>>(), [(part, expected)], "{text}");
    }

    #[test]
    fn a_value_cut_at_a_comma_or_colon_is_one_error_that_says_how_to_write_it() {
        let comma = r#"a comma in a value is written \, as in hostname:LIKE:a{1\,3}; or write JSON: [["hostname", "LIKE", "a{1,3}"]]"#;
        helps("hostname:LIKE:a{1,3},rack:UNIQUE", "a{1", Some(comma));
        let colon = r#"a colon in a value is written \: as in h:LIKE:a\:b; or write JSON: [["h", "LIKE", "a:b"]]"#;
        helps("h:LIKE:a:b", "h:LIKE:a:b", Some(colon));
        let both = r#"commas and colons in a value are written \, and \: as in h:unlike:(a\, b\:c\,d); or write JSON: [["h", "unlike", "(a, b:c,d)"]]"#;
        helps(r"h:unlike:(a, b:c\,d), rack:UNIQUE", "(a", Some(both));
        helps(r"h:unlike:(a, b\:c,d)", "(a", Some(both));
        let both = r#"commas and colons in a value are written \, and \: as in h:LIKE:(a\:b\,c); or write JSON: [["h", "LIKE", "(a:b,c)"]]"#;
        helps("h:LIKE:(a:b,c)", "h:LIKE:(a:b", Some(both));
        let list =
            r#"a comma in a value is written \, as in note:IS:a\,b\,c; or write JSON: [["note", "IS", "a,b,c"]]"#;
        helps("note:IS:a,b,c,hostname:UNIQUE", "b", Some(list));
        let long = "x".repeat(200);
        helps(
            &format!("a:IS:{long}:b"),
            &format!("a:IS:{long}:b"),
            Some(r"a colon in a value is written \:; in JSON they stand for themselves"),
        );
        // Where it is not the escapes that are missing.
        for (text, part) in [
            ("a:LIKE:(,b:UNIQUE", "("),
            ("a:UNIQUE:b:UNIQUE", "a:UNIQUE:b:UNIQUE"),
            ("a:IS:x,hostname", "hostname"),
            ("a:UNIQUE,b", "b"),
            (r#"["a", "LIKE", "a{1"]"#, r#""a{1""#),
        ] {
            helps(text, part, None);
        }
        // However many there are, few patterns are tried.
        let reading = Rule::read(&vec!["a:LIKE:(,x"; 50].join(","), "hello");
        assert_eq!(reading.patterns, 50 + 8);
    }

    #[test]
    fn what_may_be_meant_otherwise_is_remarked() {
        let zone = "'Zone' is an attribute of agents, not the zone of their fault domain";
        tells("Zone:IS:a", &[("Zone", zone)]);
        helps("region:GROUP_BY", "region", Some("write @region unless agents have an attribute of this name"));
        tells("hostname:unique: 2 ", &[("2", "the value '2' is ignored; unique takes none")]);
        helps("hostname:UNIQUE:2", "2", Some("hostname:MAX_PER:2 allows 2"));
        helps(r#"["a", "UNIQUE", "b"]"#, r#""b""#, None);
        for text in ["@zone:IS:a", "hostname:UNIQUE:", "HOSTNAME:UNIQUE", "zones:UNIQUE", "rack:IS:zone"] {
            tells(text, &[]);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", listed in "[\\[\\]\",:\\\\ua0-9]{0,30}") {
            for text in [text, format!("[{listed}"), listed] {
                let reading = Rule::read(&text, "p");
                let errors = reading.errors.iter().map(|error| &error.at);
                for at in errors.chain(reading.remarks.iter().map(|remark| &remark.at)) {
                    proptest::prop_assert!(text.get(at.clone()).is_some(), "{text:?} {at:?}");
                }
            }
        }
    }
}
