//! Properties over any input.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, RenderError, Template, Value, limits};
use proptest::prelude::*;

/// Any value, with the few names that the templates below use.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::btree_map("[AB.]{0,3}", inner, 0..8).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn text_without_tags_renders_to_itself(text in "[^{]{0,200}") {
        for dialect in Dialect::ALL {
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
                Just("{{#.}}".to_owned()), Just("{{/.}}".to_owned()), Just("{{A.B}}".to_owned()),
                Just("{{#asJson}}".to_owned()), Just("{{/asJson}}".to_owned()), Just("{{&.}}".to_owned()),
                Just("{{=<% %>=}}".to_owned()), Just("<%={{ }}=%>".to_owned()), Just("{{=".to_owned()),
                Just("{{!".to_owned()), Just("\n".to_owned()), Just("\r\n".to_owned()), Just("A".to_owned()),
                ".{0,4}",
            ],
            0..30,
        ),
        value in ".{0,10}",
        nested in value(),
    ) {
        let text = pieces.concat();
        let variables = BTreeMap::from([("A".to_owned(), value)]);
        match Template::parse(&text) {
            Ok(template) => for dialect in Dialect::ALL {
                match template.render_value(&nested, dialect) {
                    Ok(rendered) => {
                        prop_assert!(rendered.text.len() <= limits::MAX_RENDERED_BYTES);
                        prop_assert!(rendered.uses.iter().all(|used| rendered.text.get(used.rendered.clone()).is_some()));
                        prop_assert!(rendered.uses.is_sorted_by_key(|used| used.rendered.start));
                    }
                    Err(RenderError::BadAsJson { .. } | RenderError::TooManySteps | RenderError::TooLong) => {}
                    Err(error) => prop_assert!(false, "{}", error),
                }
                let evaluated: Vec<_> = template.references(dialect).map(|reference| reference.offset).collect();
                prop_assert!(evaluated.is_sorted());
                let Ok(rendered) = template.render(&variables, dialect) else {
                    prop_assert_eq!(dialect, Dialect::Package);
                    continue;
                };
                prop_assert!(rendered.uses.iter().all(|used| evaluated.contains(&used.tag.start)));
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
