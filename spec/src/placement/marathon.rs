//! From rows of words to rules: fields, operators, values.
//!
//! Source: Marathon constraints, with the fields and operators the SDK added.

use super::parse::{ParseError, Row, Word};
use super::{Counted, Key, Matcher, Rule};

const OPERATORS: &str = "UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER, IS, IS_NOT";

/// Most rows of one constraint; real ones have three.
const MAX_ROWS: usize = 100;

/// The rule of all rows; `None` for no rows.
pub(super) fn rule(rows: Vec<Row>, pod_type: &str) -> Result<Option<Rule>, ParseError> {
    if let Some(first) = rows.get(MAX_ROWS).and_then(|row| row.first()) {
        return Err(ParseError::new(format!("a placement has at most {MAX_ROWS} constraints"), first.offset));
    }
    let mut rules = rows.iter().map(|row| row_rule(row, pod_type)).collect::<Result<Vec<_>, _>>()?;
    Ok(match rules.len() {
        0 => None,
        1 => rules.pop(),
        _ => Some(Rule::And(rules)),
    })
}

fn row_rule(row: &Row, pod_type: &str) -> Result<Rule, ParseError> {
    let (field, operator, value) = match row.as_slice() {
        [field, operator] => (field, operator, None),
        [field, operator, value] => (field, operator, Some(value)),
        other => {
            let words: Vec<_> = other.iter().map(|word| word.text.as_str()).collect();
            return Err(ParseError::new(
                format!(
                    "a constraint has a field, an operator and perhaps a value, this one has {} parts: '{}'",
                    other.len(),
                    words.join(":")
                ),
                other.first().map_or(0, |word| word.offset),
            ));
        }
    };
    let key = key(field)?;
    let counted = Counted::Pods(pod_type.to_owned());
    let needed = || {
        value
            .filter(|value| !value.text.is_empty())
            .ok_or_else(|| ParseError::new(format!("operator '{}' needs a value", operator.text), operator.offset))
    };
    Ok(match operator.text.to_ascii_uppercase().as_str() {
        "UNIQUE" => Rule::MaxPer { key, max: 1, counted },
        "MAX_PER" => Rule::MaxPer { key, max: at_least_one(needed()?)?, counted },
        "CLUSTER" | "IS" => Rule::Match { key, matcher: Matcher::Exact(needed()?.text.clone()) },
        "IS_NOT" => Rule::Not(Box::new(Rule::Match { key, matcher: Matcher::Exact(needed()?.text.clone()) })),
        "LIKE" => Rule::Match { key, matcher: regex(needed()?)? },
        "UNLIKE" => Rule::Not(Box::new(Rule::Match { key, matcher: regex(needed()?)? })),
        "GROUP_BY" => {
            let expected = value.filter(|value| !value.text.is_empty()).map(at_least_one).transpose()?;
            Rule::RoundRobin { key, expected, counted }
        }
        _ => {
            return Err(ParseError::new(
                format!("unknown operator '{}'; there are {OPERATORS}", operator.text),
                operator.offset,
            ));
        }
    })
}

fn key(field: &Word) -> Result<Key, ParseError> {
    match field.text.as_str() {
        "" => Err(ParseError::new("a constraint without a field", field.offset)),
        "hostname" | "@hostname" => Ok(Key::Hostname),
        "@region" => Ok(Key::Region),
        "@zone" => Ok(Key::Zone),
        // The older generation took `hostname` in any case; nobody calls an attribute so.
        other if other.eq_ignore_ascii_case("hostname") => Ok(Key::Hostname),
        other if other.starts_with('@') => Err(ParseError::new(
            format!("unknown field '{other}'; there are @hostname, @region and @zone"),
            field.offset,
        )),
        other => Ok(Key::Attribute(other.into())),
    }
}

fn at_least_one(value: &Word) -> Result<u32, ParseError> {
    let number = value.text.parse::<u32>().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| ParseError::new(format!("'{}' is not a whole number of at least 1", value.text), value.offset))
}

fn regex(value: &Word) -> Result<Matcher, ParseError> {
    Matcher::regex(&value.text).map_err(|error| {
        // The last line says what is wrong; those before it draw the pattern.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        ParseError::new(format!("'{}' is not a usable regular expression: {why}", value.text), value.offset)
    })
}
