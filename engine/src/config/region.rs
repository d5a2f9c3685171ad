//! The region of a service: a rule on every pod.
//!
//! Without any word about regions nothing is added, and the framework does not say that it knows them: Mesos then offers only agents of the
//! master's own region. As soon as one rule looks at regions the framework must be offered all of them, so every pod gets a rule that keeps it
//! where it would have been otherwise.
//!
//! Source: the SDK's rule, part of the stored configuration: alone, or first in an `AndRule` with the pod's own.

use mainstay_spec::ServiceSpec;
use mainstay_spec::placement::{Key, Matcher, Rule};

/// Keeps every pod in the region (`SERVICE_REGION`), without one in that of the master. A pod whose own rule looks at the region is left alone.
pub fn confine(spec: &mut ServiceSpec, region: Option<&str>) {
    spec.region = region.map(str::to_owned);
    if region.is_none() && !is_used(spec) {
        return;
    }
    let rule = match region {
        Some(region) => Rule::Match { key: Key::Region, matcher: Matcher::Exact(region.to_owned()) },
        None => Rule::LocalRegion,
    };
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
    fn without_a_region_pods_stay_in_that_of_the_master_once_regions_matter() {
        assert_eq!(
            confined(["", "hostname:UNIQUE"], None),
            (vec!["no rule".into(), "hostname max 1 of hello".into()], false)
        );
        let (rules, is_used) = confined(["@region:GROUP_BY", "hostname:UNIQUE"], None);
        assert_eq!(rules, ["region spread over all of hello", "region of the master AND hostname max 1 of hello"]);
        assert!(is_used);
    }
}
