//! Numbers in exact matchers, which the SDK rewrites whenever it makes or reads one.
//!
//! Source: text that Java reads as a double is kept with at most three decimals: `007.50` becomes `7.5`, `1d` becomes `1`.

/// The text as the SDK keeps it.
///
/// Infinite and hexadecimal numbers are left as they are: no name or attribute looks like that.
pub(super) fn normalised(text: &str) -> String {
    let digits = text.trim_matches(|c: char| c <= ' ').trim_end_matches(['d', 'D', 'f', 'F']);
    let suffixes = text.trim_matches(|c: char| c <= ' ').len() - digits.len();
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = match digits.parse() {
        Ok(number) if is_decimal && suffixes <= 1 => number,
        _ => return text.to_owned(),
    };
    if !number.is_finite() {
        return text.to_owned();
    }
    let rounded = format!("{number:.3}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn what_java_reads_as_a_number_loses_its_spelling() {
        for (text, kept) in [
            ("007.50", "7.5"),
            ("1d", "1"),
            ("1e3", "1000"),
            ("100", "100"),
            (" 2.0F ", "2"),
            ("-0.12345", "-0.123"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1.0005", "1"),
            ("10.0.0.1", "10.0.0.1"),
            ("1dd", "1dd"),
            ("d", "d"),
            ("", ""),
            ("inf", "inf"),
            ("NaN", "NaN"),
            ("1e999", "1e999"),
            ("rack:7.50", "rack:7.50"),
            ("eu-west-1", "eu-west-1"),
        ] {
            assert_eq!(normalised(text), kept, "{text}");
        }
    }
}
