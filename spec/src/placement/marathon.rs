//! From rows of words to rules: fields, operators, values.
//!
//! Not the escapes and quotes: those are `parse.rs`. A row that cannot be understood does not hide the next; one that is
//! only the rest of a value cut at a comma is told with that value.
//! Source: Marathon constraints, with the fields and operators the SDK added.

use std::ops::Range;

use super::parse::{ParseError, Row, Word, Written, unescaped};
use super::spelling;
use super::{Counted, Key, Matcher, Reading, Remark, Rule};

const OPERATORS: [&str; 8] = ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS", "IS_NOT"];

/// Those whose value is any text, which may have commas and colons.
const OF_TEXT: [&str; 5] = ["CLUSTER", "LIKE", "UNLIKE", "IS", "IS_NOT"];

/// Most rows of one constraint; real ones have three.
const MAX_ROWS: usize = 100;

/// Most patterns tried to find out whether one was cut at a comma, for each text.
const MAX_TRIES: u32 = 8;

/// Longest constraint that is shown as it should be written.
const MAX_SHOWN: usize = 120;

/// The rule of all rows, and what is to be said about them.
pub(super) fn read(rows: Written<'_>, pod_type: &str) -> Reading {
    let Written { text, rows, errors, is_plain } = rows;
    let reading = Reading { rule: None, errors, remarks: Vec::new(), patterns: 0 };
    let mut reader = Reader { text, is_plain, pod_type, reading, tries: MAX_TRIES };
    if let Some(row) = rows.get(MAX_ROWS) {
        let message = format!("a placement has at most {MAX_ROWS} constraints");
        reader.refuse(ParseError::new(message, row.at.clone()));
    } else {
        reader.rows(&rows);
    }
    let mut reading = reader.reading;
    reading.errors.sort_by_key(|error| error.at.start);
    reading.rule = reading.rule.filter(|_| reading.errors.is_empty());
    reading
}

struct Reader<'t> {
    text: &'t str,
    is_plain: bool,
    pod_type: &'t str,
    reading: Reading,
    tries: u32,
}

impl Reader<'_> {
    fn rows(&mut self, rows: &[Row]) {
        let mut rules = Vec::new();
        let mut rest = rows;
        let mut before = None;
        while let Some((row, behind)) = rest.split_first() {
            let cut = before.filter(|_| self.is_plain).and_then(|before| self.rest_of(before, rest));
            let taken = if let Some((taken, help)) = cut {
                self.refuse(ParseError { help, ..arity(row) });
                taken
            } else {
                let (rule, belonging) = self.row(row, behind);
                rules.extend(rule);
                1 + belonging
            };
            before = Some(row);
            rest = rest.get(taken..).unwrap_or_default();
        }
        self.reading.rule = if rules.len() > 1 { Some(Rule::And(rules)) } else { rules.pop() };
    }

    /// How many of these rows are the rest of the value of the one before, and how to write it as one.
    fn rest_of(&self, before: &Row, rows: &[Row]) -> Option<(usize, Option<String>)> {
        let is_rest = |row: &&Row| match row.words.as_slice() {
            [word] => !word.text.is_empty() && word.text != "hostname" && !word.text.starts_with('@'),
            _ => false,
        };
        let taken = rows.iter().take_while(is_rest).count();
        let is_whole = before.words.len() == 3 && of_text(before);
        let last = rows.get(taken.checked_sub(1)?).filter(|_| is_whole)?;
        Some((taken, self.escaped(before, last)))
    }

    /// The rule of a row, if it can be understood, and how many of the rows behind it belong to its value.
    fn row(&mut self, row: &Row, behind: &[Row]) -> (Option<Rule>, usize) {
        let (field, operator, value) = match row.words.as_slice() {
            [field, operator] => (field, operator, None),
            [field, operator, value] => (field, operator, Some(value)),
            [_, _, _, ..] if self.is_plain && of_text(row) => {
                let joined = self.joined(row, behind).unwrap_or(0);
                let last = behind.get(joined.wrapping_sub(1)).unwrap_or(row);
                let help = self.escaped(row, last);
                self.refuse(ParseError { help, ..arity(row) });
                return (None, joined);
            }
            _ => {
                self.refuse(arity(row));
                return (None, 0);
            }
        };
        let key = self.key(field, row);
        let value = value.filter(|value| !value.text.is_empty());
        let word = operator.text.to_ascii_uppercase();
        if value.is_none() && word != "MAX_PER" && !OF_TEXT.contains(&word.as_str()) {
            return (self.without_value(key, operator, &word), 0);
        }
        let Some(value) = value else {
            let message = format!("operator '{}' needs a value", operator.text);
            self.refuse(ParseError::new(message, operator.at.clone()));
            return (None, 0);
        };
        if is_pattern(row) {
            self.reading.patterns += 1;
            return match Matcher::regex(&value.text) {
                Ok(matcher) => (key.map(|key| matching(key, matcher, word == "UNLIKE")), 0),
                Err(error) => {
                    let joined = self.joined(row, behind);
                    let last = joined.and_then(|joined| behind.get(joined.checked_sub(1)?));
                    let help = last.and_then(|last| self.escaped(row, last));
                    // The last line says what is wrong; those before it draw the pattern.
                    let why = error.to_string();
                    let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    let message = format!("'{}' is not a usable regular expression: {why}", value.text);
                    self.refuse(ParseError { help, ..ParseError::new(message, value.at.clone()) });
                    (None, joined.unwrap_or(0))
                }
            };
        }
        let rule = match word.as_str() {
            "UNIQUE" => {
                self.remark(ignored(row, value));
                self.without_value(key, operator, &word)
            }
            "MAX_PER" => self.at_least_one(value).zip(key).map(|(max, key)| {
                let counted = Counted::Pods(self.pod_type.to_owned());
                Rule::MaxPer { key, max, counted }
            }),
            "GROUP_BY" => self.at_least_one(value).zip(key).map(|(expected, key)| {
                let counted = Counted::Pods(self.pod_type.to_owned());
                Rule::RoundRobin { key, expected: Some(expected), counted }
            }),
            "CLUSTER" | "IS" | "IS_NOT" => {
                key.map(|key| matching(key, Matcher::Exact(value.text.clone()), word == "IS_NOT"))
            }
            _ => self.without_value(key, operator, &word),
        };
        (rule, 0)
    }

    /// The rule of an operator that can do without a value, if it is one.
    fn without_value(&mut self, key: Option<Key>, operator: &Word, word: &str) -> Option<Rule> {
        let counted = Counted::Pods(self.pod_type.to_owned());
        match word {
            "UNIQUE" => Some(Rule::MaxPer { key: key?, max: 1, counted }),
            "GROUP_BY" => Some(Rule::RoundRobin { key: key?, expected: None, counted }),
            _ => {
                let message = format!("unknown operator '{}'; there are {}", operator.text, OPERATORS.join(", "));
                self.refuse(ParseError::new(message, operator.at.clone()));
                None
            }
        }
    }

    fn key(&mut self, field: &Word, row: &Row) -> Option<Key> {
        match field.text.as_str() {
            "" => {
                let at = if field.at.is_empty() { row.at.clone() } else { field.at.clone() };
                self.refuse(ParseError::new("a constraint without a field", at));
                None
            }
            "hostname" | "@hostname" => Some(Key::Hostname),
            "@region" => Some(Key::Region),
            "@zone" => Some(Key::Zone),
            // The older generation took `hostname` in any case; nobody calls an attribute so.
            other if other.eq_ignore_ascii_case("hostname") => Some(Key::Hostname),
            other if other.starts_with('@') => {
                let message = format!("unknown field '{other}'; there are @hostname, @region and @zone");
                self.refuse(ParseError::new(message, field.at.clone()));
                None
            }
            other => {
                if other.eq_ignore_ascii_case("region") || other.eq_ignore_ascii_case("zone") {
                    let domain = other.to_ascii_lowercase();
                    self.remark(Remark {
                        message: format!("'{other}' is an attribute of agents, not the {domain} of their fault domain"),
                        at: field.at.clone(),
                        help: Some(format!("write @{domain} unless agents have an attribute of this name")),
                    });
                }
                Some(Key::Attribute(other.into()))
            }
        }
    }

    fn at_least_one(&mut self, value: &Word) -> Option<u32> {
        let number = value.text.parse::<u32>().ok().filter(|number| *number >= 1);
        if number.is_none() {
            let message = format!("'{}' is not a whole number of at least 1", value.text);
            self.refuse(ParseError::new(message, value.at.clone()));
        }
        number
    }

    /// How many of the rows behind, none of them a constraint itself, are needed to make the value of this one a pattern.
    fn joined(&mut self, row: &Row, behind: &[Row]) -> Option<usize> {
        let is_constraint =
            |row: &Row| row.words.get(1).is_some_and(|word| OPERATORS.contains(&&*word.text.to_ascii_uppercase()));
        if !self.is_plain || !is_pattern(row) {
            return None;
        }
        let rest = behind.iter().take_while(|row| !is_constraint(row));
        // A value without a colon was tried already.
        let is_tried = row.words.len() == 3;
        for (taken, last) in std::iter::once(row).chain(rest).enumerate().skip(usize::from(is_tried)) {
            self.tries = self.tries.checked_sub(1)?;
            self.reading.patterns += 1;
            if Matcher::regex(&self.value(row, last)?).is_ok() {
                return Some(taken);
            }
        }
        None
    }

    /// The value of a row of the plain form that goes on to the end of `last`.
    fn value(&self, row: &Row, last: &Row) -> Option<String> {
        Some(unescaped(self.text.get(row.words.get(2)?.at.start..last.at.end)?))
    }

    /// How to write the value of a row of the plain form that goes on to the end of `last`.
    fn escaped(&self, row: &Row, last: &Row) -> Option<String> {
        let value = self.value(row, last)?;
        let (field, operator) = (&row.words.first()?.text, &row.words.get(1)?.text);
        let what = match (value.contains(','), value.contains(':')) {
            (true, true) => "commas and colons in a value are written \\, and \\:",
            (true, false) => "a comma in a value is written \\,",
            _ => "a colon in a value is written \\:",
        };
        let words = [field.as_str(), operator, &value];
        let (plain, json) = (spelling::plain(&words), spelling::json(&words));
        if json.len() > MAX_SHOWN {
            return Some(format!("{what}; in JSON they stand for themselves"));
        }
        Some(format!("{what} as in {plain}; or write JSON: [{json}]"))
    }

    fn refuse(&mut self, error: ParseError) {
        self.reading.errors.push(error);
    }

    fn remark(&mut self, remark: Remark) {
        self.reading.remarks.push(remark);
    }
}

fn matching(key: Key, matcher: Matcher, is_inverted: bool) -> Rule {
    let rule = Rule::Match { key, matcher };
    if is_inverted { Rule::Not(Box::new(rule)) } else { rule }
}

/// Whether the operator of a row takes a text.
fn of_text(row: &Row) -> bool {
    row.words.get(1).is_some_and(|word| OF_TEXT.contains(&&*word.text.to_ascii_uppercase()))
}

/// Whether that text is a pattern.
fn is_pattern(row: &Row) -> bool {
    of_text(row) && row.words.get(1).is_some_and(|word| word.text.to_ascii_uppercase().ends_with("LIKE"))
}

fn arity(row: &Row) -> ParseError {
    let words: Vec<_> = row.words.iter().map(|word| word.text.as_str()).collect();
    let what = "a constraint has a field, an operator and perhaps a value";
    let message = match words.as_slice() {
        [] | [""] => format!("{what}, this one is empty"),
        [word] => format!("{what}, this one has 1 part: '{word}'"),
        words => format!("{what}, this one has {} parts: '{}'", words.len(), words.join(":")),
    };
    ParseError::new(message, row.at.clone())
}

/// The value of an operator that takes none.
fn ignored(row: &Row, value: &Word) -> Remark {
    let word = |at: usize| row.words.get(at).map_or("", |word| &word.text);
    let is_number = value.text.parse::<u32>().is_ok_and(|number| number >= 1);
    let meant =
        is_number.then(|| format!("{} allows {}", spelling::plain(&[word(0), "MAX_PER", &value.text]), value.text));
    let at: Range<usize> = value.at.clone();
    Remark { message: format!("the value '{}' is ignored; {} takes none", value.text, word(1)), at, help: meant }
}
