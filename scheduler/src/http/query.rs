//! Query parameters as browsers' forms write them, read leniently.
//!
//! Not axum's extractor: that one answers 400 to what clients of the SDK really send, such as a raw `[`.
//! Invariant: parsing never fails; a `%` without two hex digits stands for itself, bytes that are not UTF-8 become U+FFFD.

/// The decoded parameters of a request, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Splits at `&` and the first `=`; `+` is a space, `%XX` is decoded.
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect(),
        )
    }

    /// The first value of this name; present but blank is `Some("")`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of this name unless it is blank.
    pub fn get_unless_blank(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// Whether the value is `true` in any case.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b'+', _, _) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, name: &str, expected: Option<&str>) {
        assert_eq!(Query::parse(Some(query)).get(name), expected);
    }

    #[test]
    fn step_names_arrive_however_they_were_escaped() {
        check("phase=hello&step=hello-0:[server]", "step", Some("hello-0:[server]"));
        check("step=hello-0%3A%5Bserver%5D", "step", Some("hello-0:[server]"));
        check("step=hello-0:[server,+sidecar]", "step", Some("hello-0:[server, sidecar]"));
        check("step=hello-0:[server,%20sidecar]", "step", Some("hello-0:[server, sidecar]"));
        check("step=a%2bb", "step", Some("a+b"));
        check("step=a=b", "step", Some("a=b"));
    }

    #[test]
    fn nothing_makes_parsing_fail() {
        check("step=100%", "step", Some("100%"));
        check("step=%zz%4", "step", Some("%zz%4"));
        check("step=%ff", "step", Some("\u{fffd}"));
        check("&&=x&step", "step", Some(""));
        check("step=a&step=b", "step", Some("a"));
        check("", "step", None);
        assert_eq!(Query::parse(None), Query::default());
    }

    #[test]
    fn blank_is_told_apart_from_absent_only_where_asked() {
        let query = Query::parse(Some("phase=&step=+%20&json=TRUE&sync=1"));
        assert_eq!(query.get("phase"), Some(""));
        assert_eq!(query.get_unless_blank("phase"), None);
        assert_eq!(query.get_unless_blank("step"), None);
        assert!(query.is_true("json"));
        assert!(!query.is_true("sync") && !query.is_true("absent"));
    }
}
