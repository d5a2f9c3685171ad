//! Placement rules that mean something, and the region that stays.

use mainstay_spec::placement::Rule;

use super::{Change, Problem};

/// Row 10. A text that cannot be read is refused when the specification is loaded; what is left are stored rules of an unknown kind.
pub(super) fn is_valid(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for pod in &change.new.spec.pods {
        let Some(unknown) = pod.placement.as_ref().and_then(Rule::unknown) else { continue };
        let pod_type = &pod.pod_type;
        let message =
            format!("placement of pod {pod_type} has invalid constraints: correct the rule, nothing passes it");
        problems.push(Problem::value(format!("pods.{pod_type}.placement"), unknown, message));
    }
}

/// Row 11.
pub(super) fn region(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let Some(old) = change.old else { return };
    let (old, new) = (&old.spec.region, &change.new.spec.region);
    if old != new {
        let text = |region: &Option<String>| region.clone().unwrap_or_default();
        let message = "the region must remain the same: pods and their volumes are there; set SERVICE_REGION as before";
        problems.push(Problem::transition("region", text(old), text(new), message));
    }
}

#[cfg(test)]
mod tests {
    use mainstay_spec::placement::Rule;

    use super::super::fixture::{changed, judged_from, problems, problems_of_new};

    #[test]
    fn row_7_10_an_invalid_rule_is_found_wherever_it_is() {
        let unknown = || Rule::Unknown("{\"@type\":\"X\"}".into());
        let text = "Field: 'pods.hello.placement'; Value: '{\"@type\":\"X\"}'; Message: 'placement of pod hello has \
                    invalid constraints: correct the rule, nothing passes it'; Fatal: false";
        for rule in
            [unknown(), Rule::And(vec![Rule::Passthrough, Rule::Or(vec![unknown()])]), Rule::Not(Box::new(unknown()))]
        {
            assert_eq!(problems_of_new(|spec| spec.pods[0].placement = Some(rule)), [text]);
        }
        assert_eq!(problems(|spec| spec.pods[0].placement = Some(Rule::LocalRegion)), Vec::<String>::new());
    }

    #[test]
    fn row_7_11_the_region_stays() {
        let text = |old: &str, new: &str| {
            format!(
                "Field: 'region'; Transition: '{old}' => '{new}'; Message: 'the region must remain the same: pods and \
                 their volumes are there; set SERVICE_REGION as before'; Fatal: false"
            )
        };
        assert_eq!(problems(|spec| spec.region = Some("east".into())), [text("", "east")]);
        let old = changed(|spec| spec.region = Some("east".into()));
        let judged = |new: &_| judged_from(&old, new, |_| {});
        assert_eq!(judged(&changed(|_| {}))[0].to_string(), text("east", ""));
        assert_eq!(judged(&old), []);
        assert_eq!(problems_of_new(|spec| spec.region = Some("east".into())), Vec::<String>::new());
    }
}
