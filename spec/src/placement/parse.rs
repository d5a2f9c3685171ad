//! From the text of a constraint to rows of words: the three spellings.
//!
//! Invariant: every word keeps the byte offset at which it begins in the text, for messages.

/// Why a constraint cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset})")]
pub struct ParseError {
    /// What is wrong and what is allowed.
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
}

impl ParseError {
    pub(super) fn new(message: impl Into<String>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }
}

/// One word of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) offset: usize,
}

/// A row: field, operator, perhaps a value.
pub(super) type Row = Vec<Word>;

/// The rows of any of the three spellings; none for an empty text or an empty list.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, ParseError> {
    let trimmed = text.trim_start();
    if trimmed.trim_end().is_empty() {
        return Ok(Vec::new());
    }
    if trimmed.starts_with('[') { Json { text, at: text.len() - trimmed.len() }.document() } else { Ok(plain(text)) }
}

/// `field:OPERATOR[:value],…`; `\,` and `\:` stand for themselves, any other backslash is kept.
fn plain(text: &str) -> Vec<Row> {
    let mut rows = vec![Vec::new()];
    let mut word = Word { text: String::new(), offset: 0 };
    let mut chars = text.char_indices().peekable();
    let finish = |word: &mut Word, next: usize| {
        let begun = std::mem::replace(word, Word { text: String::new(), offset: next });
        let blanks = begun.text.len() - begun.text.trim_start().len();
        Word { text: begun.text.trim().to_owned(), offset: begun.offset + blanks }
    };
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, ',' | ':')) => {
                word.text.extend(chars.next().map(|(_, escaped)| escaped));
            }
            ',' | ':' => {
                let done = finish(&mut word, at + 1);
                if let Some(row) = rows.last_mut() {
                    row.push(done);
                }
                if char == ',' {
                    rows.push(Vec::new());
                }
            }
            other => word.text.push(other),
        }
    }
    let done = finish(&mut word, text.len());
    if let Some(row) = rows.last_mut() {
        row.push(done);
    }
    rows
}

/// The part of JSON that constraints use: lists of words, or one list. Numbers and booleans count as words.
struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl Json<'_> {
    fn document(mut self) -> Result<Vec<Row>, ParseError> {
        self.expect('[')?;
        let mut rows = Vec::new();
        let mut flat = Vec::new();
        while !self.ends(']', rows.is_empty() && flat.is_empty())? {
            let at = self.at;
            match self.peek() {
                Some('[') if flat.is_empty() => rows.push(self.row()?),
                Some('[') => return Err(self.error("a list among words: write either one list or a list of lists")),
                _ if rows.is_empty() => flat.push(self.word()?),
                _ => return Err(ParseError::new("a word among lists: write either one list or a list of lists", at)),
            }
        }
        self.blanks();
        if self.at < self.text.len() {
            return Err(self.error("text after the end of the list"));
        }
        if !flat.is_empty() {
            rows.push(flat);
        }
        Ok(rows)
    }

    fn row(&mut self) -> Result<Row, ParseError> {
        self.expect('[')?;
        let mut row = Vec::new();
        while !self.ends(']', row.is_empty())? {
            row.push(self.word()?);
        }
        Ok(row)
    }

    /// Consumes the end of a list, or the comma before its next item.
    fn ends(&mut self, end: char, is_first: bool) -> Result<bool, ParseError> {
        self.blanks();
        if self.peek() == Some(end) {
            self.at += end.len_utf8();
            return Ok(true);
        }
        if !is_first {
            self.expect(',')?;
            self.blanks();
        }
        Ok(false)
    }

    fn word(&mut self) -> Result<Word, ParseError> {
        let offset = self.at;
        if self.peek() == Some('"') {
            return Ok(Word { text: self.string()?, offset });
        }
        let bare: String =
            self.rest().chars().take_while(|char| char.is_ascii_alphanumeric() || "+-.".contains(*char)).collect();
        if bare.parse::<f64>().is_err() && bare != "true" && bare != "false" {
            return Err(self.error("expected a text in double quotes"));
        }
        self.at += bare.len();
        Ok(Word { text: bare, offset })
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let begin = self.at;
        self.expect('"')?;
        let mut text = String::new();
        loop {
            let Some(char) = self.next() else {
                return Err(ParseError::new("a text without its closing quote", begin));
            };
            match char {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                char if char.is_control() => return Err(ParseError::new("a control character in a text", self.at - 1)),
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let begin = self.at - 1;
        match self.next() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.code_unit(begin)?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
                    self.at += 2;
                    units.push(self.code_unit(begin)?);
                }
                match char::decode_utf16(units).collect::<Result<Vec<_>, _>>().as_deref() {
                    Ok([char]) => Ok(*char),
                    _ => Err(ParseError::new("half of a surrogate pair", begin)),
                }
            }
            _ => Err(ParseError::new("an unknown escape; in JSON a backslash is written twice", begin)),
        }
    }

    fn code_unit(&mut self, begin: usize) -> Result<u16, ParseError> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| ParseError::new("an escape without its four digits", begin))
    }

    fn expect(&mut self, wanted: char) -> Result<(), ParseError> {
        if self.peek() != Some(wanted) {
            return Err(self.error(&format!("expected '{wanted}'")));
        }
        self.at += wanted.len_utf8();
        Ok(())
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

    fn error(&self, message: &str) -> ParseError {
        ParseError::new(message, self.at)
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
            "a constraint has a field, an operator and perhaps a value, this one has 1 parts: 'hostname' (at byte 0)",
        );
        refuses(
            "a:UNIQUE,b:LIKE:x:y",
            "a constraint has a field, an operator and perhaps a value, this one has 4 parts: 'b:LIKE:x:y' (at byte 9)",
        );
        refuses(
            "a:UNIQUE,",
            "a constraint has a field, an operator and perhaps a value, this one has 1 parts: '' (at byte 9)",
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
        refuses(r#"["a", "UNIQUE""#, "expected ',' (at byte 14)");
        refuses(r#"["a" "UNIQUE"]"#, "expected ',' (at byte 5)");
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
        refuses(
            "[[]]",
            "a constraint has a field, an operator and perhaps a value, this one has 0 parts: '' (at byte 0)",
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", listed in "[\\[\\]\",:\\\\ua0-9]{0,30}") {
            let _ = Rule::parse(&text, "p");
            let _ = Rule::parse(&format!("[{listed}"), "p");
        }
    }
}
