//! Properties over any input.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, Template};
use proptest::prelude::*;

proptest! {
    #[test]
    fn text_without_tags_renders_to_itself(text in "[^{]{0,200}") {
        for dialect in [Dialect::Scheduler, Dialect::Config] {
            let rendered = Template::parse(&text).unwrap().render(&BTreeMap::new(), dialect).unwrap();
            prop_assert_eq!(&rendered.text, &text);
        }
    }

    #[test]
    fn no_input_panics(
        pieces in prop::collection::vec(
            prop_oneof![
                Just("{{".to_owned()), Just("}}".to_owned()), Just("{{{".to_owned()), Just("}}}".to_owned()),
                Just("{{#A}}".to_owned()), Just("{{/A}}".to_owned()), Just("{{^A}}".to_owned()),
                Just("{{=<% %>=}}".to_owned()), Just("<%={{ }}=%>".to_owned()), Just("{{=".to_owned()),
                Just("{{!".to_owned()), Just("\n".to_owned()), Just("\r\n".to_owned()), Just("A".to_owned()),
                ".{0,4}",
            ],
            0..30,
        ),
        value in ".{0,10}",
    ) {
        let text = pieces.concat();
        let variables = BTreeMap::from([("A".to_owned(), value)]);
        match Template::parse(&text) {
            Ok(template) => for dialect in [Dialect::Scheduler, Dialect::Config] {
                let rendered = template.render(&variables, dialect).unwrap();
                let mut last = 0;
                for offset in 0..=rendered.text.len() {
                    let source = rendered.source_offset(offset);
                    prop_assert!(source >= last && source <= text.len() + 1);
                    last = source;
                }
            },
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.offset <= text.len());
                    prop_assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
