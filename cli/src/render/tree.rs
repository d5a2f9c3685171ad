//! Trees drawn with lines.

/// A line and what hangs below it.
#[derive(Debug, Default)]
pub(crate) struct Node {
    text: String,
    children: Vec<Node>,
}

impl Node {
    /// A line with nodes below it.
    pub(crate) fn new(text: impl Into<String>, children: Vec<Node>) -> Self {
        Self { text: text.into(), children }
    }

    /// A line with nothing below it.
    pub(crate) fn leaf(text: impl Into<String>) -> Self {
        Self::new(text, Vec::new())
    }

    /// The lines, without a trailing newline.
    pub(crate) fn draw(&self) -> String {
        let mut out = self.text.clone();
        self.draw_children(&mut out, "");
        out
    }

    fn draw_children(&self, out: &mut String, indent: &str) {
        for (place, child) in self.children.iter().enumerate() {
            let is_last = place + 1 == self.children.len();
            out.push('\n');
            out.push_str(indent);
            out.push_str(if is_last { "└─ " } else { "├─ " });
            out.push_str(&child.text);
            child.draw_children(out, &format!("{indent}{}", if is_last { "   " } else { "│  " }));
        }
    }
}
