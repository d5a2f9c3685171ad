//! The region of a service: a rule on every pod.
//!
//! A pod whose rule says nothing about regions stays in that of the master: without the capability Mesos offers nothing else, and with it the
//! evaluation sees to that (`offer/placement/region.rs`).
//!
//! Source: the SDK's rule, part of the stored configuration: alone, or first in an `AndRule` with the pod's own. Its other one, which says
//! that the master's region is meant, is not stored here: it is always meant.

use mainstay_spec::ServiceSpec;
use mainstay_spec::placement::{Key, Matcher, Rule};

/// Keeps every pod in the region (`SERVICE_REGION`), when there is one. A pod whose own rule looks at the region is left alone.
pub fn confine(spec: &mut ServiceSpec, region: Option<&str>) {
    spec.region = region.map(str::to_owned);
    let Some(region) = region else { return };
    let rule = Rule::Match { key: Key::Region, matcher: Matcher::Exact(region.to_owned()) };
    for pod in &mut spec.pods {
        pod.placement = Some(match pod.placement.take() {
            Some(own) if own.references_region() => own,
            Some(own) => Rule::And(vec![rule.clone(), own]),
            None => rule.clone(),
        });
    }
}

/// Whether some pod's rule looks at the region: offers of other regions are wanted then.
pub fn is_used(spec: &ServiceSpec) -> bool {
    spec.pods.iter().filter_map(|pod| pod.placement.as_ref()).any(Rule::references_region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::fixture::{pod, service};

    fn confined(rules: [&str; 2], region: Option<&str>) -> (Vec<String>, bool) {
        let mut spec = service(pod());
        spec.pods.push(pod());
        for (pod, rule) in spec.pods.iter_mut().zip(rules) {
            pod.placement = Rule::parse(rule, "hello").unwrap();
        }
        confine(&mut spec, region);
        assert_eq!(spec.region.as_deref(), region);
        let text = |rule: &Option<Rule>| rule.as_ref().map_or_else(|| "no rule".to_owned(), ToString::to_string);
        (spec.pods.iter().map(|pod| text(&pod.placement)).collect(), is_used(&spec))
    }

    #[test]
    fn the_region_of_the_service_is_added_to_every_pod_that_says_nothing_of_regions() {
        let (rules, is_used) = confined(["", "hostname:UNIQUE,rack:IS:r1"], Some("east"));
        assert_eq!(rules, ["region IS east", "region IS east AND (hostname max 1 of hello AND attribute rack IS r1)"]);
        assert!(is_used);
        let (rules, _) = confined(["@region:IS:west", "hostname:UNIQUE"], Some("east"));
        assert_eq!(rules, ["region IS west", "region IS east AND hostname max 1 of hello"]);
    }

    #[test]
    fn without_a_region_nothing_is_added() {
        let none = (vec!["no rule".to_owned(), "hostname max 1 of hello".to_owned()], false);
        assert_eq!(confined(["", "hostname:UNIQUE"], None), none);
        let (rules, is_used) = confined(["@region:GROUP_BY", "hostname:UNIQUE"], None);
        assert_eq!(rules, ["region spread over all of hello", "hostname max 1 of hello"]);
        assert!(is_used);
    }
}
