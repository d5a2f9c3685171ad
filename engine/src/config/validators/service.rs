//! What the whole service must keep: its name, user, principal and role.

use super::{Change, Problem, Weight};

/// Longest part of a DNS name.
const DNS_LABEL: usize = 63;

/// Row 1: ids and paths are taken apart at `__`.
pub(super) fn name(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let name = &change.new.spec.name;
    if name.contains("__") {
        problems.push(Problem::value("name", name, "the service name may not contain double underscores: rename it"));
    }
}

/// Row 7. Pods have no user of their own; one that differs is refused when the specification is read.
pub(super) fn user(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let Some(old) = change.old else { return };
    // What has no user runs as root.
    let named = |user: &str| if user.is_empty() { "root".to_owned() } else { user.to_owned() };
    let (old, new) = (named(&old.spec.user), named(&change.new.spec.user));
    if old != new {
        let message =
            format!("cannot change the user from {old} to {new}, volumes belong to it: revert the change to continue");
        problems.push(Problem::transition("user", old, new, message).weighing(Weight::Fatal));
    }
}

/// Ours: the master refuses a framework that comes back with another principal.
pub(super) fn principal(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let Some(old) = change.old else { return };
    let (old, new) = (&old.spec.principal, &change.new.spec.principal);
    if old != new {
        let message = "the principal cannot change: Mesos refuses a framework that comes back with another one";
        problems.push(Problem::transition("principal", old, new, message).weighing(Weight::Fatal));
    }
}

/// Row 12: names of tasks are made of it. A service that runs already is only told.
pub(super) fn dns_name(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let label = change.new.spec.dns_safe_name();
    let length = label.chars().count();
    if length <= DNS_LABEL {
        return;
    }
    let message = format!(
        "the service name without slashes exceeds {DNS_LABEL} characters, it has {length}: names of its tasks cannot be resolved"
    );
    let weight = if change.old.is_some() { Weight::Warning } else { Weight::Error };
    problems.push(Problem::value("name", label, message).weighing(weight));
}

/// Row 15, and more: the SDK lets the role change after a complete deployment and then needs its role migration to be
/// offered the old reservations. Without that every reservation and volume would stay behind, out of reach: refused
/// until role migration exists, because never losing data comes first.
pub(super) fn role(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let Some(old) = change.old else { return };
    let (old, new) = (old.role, change.new.role);
    if old == new {
        return;
    }
    let message = if change.is_deployed {
        "the role cannot change: it holds the reservations and volumes, and moving them is not supported yet: \
         revert the change to continue"
    } else {
        "the role cannot change before the deployment is complete: finish it with the old role first"
    };
    problems.push(Problem::transition("role", old, new, message).weighing(Weight::Fatal));
}

#[cfg(test)]
mod tests {
    use super::super::Weight;
    use super::super::fixture::{changed, judged, judged_from, problems, problems_of_new, texts};

    #[test]
    fn row_7_1_the_service_name_has_no_double_underscore() {
        assert_eq!(problems(|spec| spec.name = "a_b".into()), Vec::<String>::new());
        let text = "Field: 'name'; Value: 'a__b'; Message: 'the service name may not contain double underscores: \
                    rename it'; Fatal: false";
        assert_eq!(problems(|spec| spec.name = "a__b".into()), [text]);
        assert_eq!(problems_of_new(|spec| spec.name = "a__b".into()), [text]);
    }

    #[test]
    fn row_7_7_the_user_never_changes_and_none_is_root() {
        assert_eq!(
            problems(|spec| spec.user = "other".into()),
            ["Field: 'user'; Transition: 'nobody' => 'other'; Message: 'cannot change the user from nobody to other, \
              volumes belong to it: revert the change to continue'; Fatal: true"]
        );
        assert_eq!(problems_of_new(|spec| spec.user = "other".into()), Vec::<String>::new());
        let from_none = |new: &str| {
            let old = changed(|spec| spec.user = String::new());
            let new = changed(|spec| spec.user = new.to_owned());
            judged_from(&old, &new, |_| {}).len()
        };
        assert_eq!((from_none("root"), from_none("nobody")), (0, 1));
    }

    #[test]
    fn the_principal_never_changes() {
        let found = problems(|spec| spec.principal = "other".into());
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Field: 'principal'; Transition: 'hello-principal' => 'other'; "), "{found:?}");
        assert!(found[0].ends_with("Fatal: true"), "{found:?}");
    }

    #[test]
    fn row_7_12_a_name_too_long_for_dns_stops_a_new_service_and_warns_a_running_one() {
        let name = |length: usize| format!("/a/{}", "b".repeat(length - 1));
        assert_eq!(problems_of_new(|spec| spec.name = name(63)), Vec::<String>::new());
        let found = problems_of_new(|spec| spec.name = name(64));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("exceeds 63 characters, it has 64") && found[0].ends_with("Fatal: false"),
            "{found:?}"
        );
        let running = judged(&changed(|spec| spec.name = name(64)), |_| {});
        assert_eq!(running.iter().map(|problem| problem.weight).collect::<Vec<_>>(), [Weight::Warning]);
    }

    #[test]
    fn row_7_15_the_role_never_changes_and_the_text_says_what_helps() {
        let other = |is_deployed| {
            let found = judged(&changed(|_| {}), |change| {
                change.is_deployed = is_deployed;
                change.new.role = "other";
            });
            texts(&found)
        };
        assert_eq!(
            other(false),
            ["Field: 'role'; Transition: 'hello-role' => 'other'; Message: 'the role cannot change before the \
              deployment is complete: finish it with the old role first'; Fatal: true"]
        );
        assert_eq!(
            other(true),
            ["Field: 'role'; Transition: 'hello-role' => 'other'; Message: 'the role cannot change: it holds the \
              reservations and volumes, and moving them is not supported yet: revert the change to continue'; \
              Fatal: true"]
        );
    }
}
