//! Section 4 as far as the specification decides: names derived from that of the service, and odd ones.

use mainstay_spec::Code;

use super::support::{fine, pod, root, row, warned};

#[test]
fn folders() {
    row("4.2/role 4.2/principal 4.3/derived 4.2/vip-host", || {
        let spec = fine("", root("name: /path/to/s.vc"));
        assert_eq!(spec.role(), "path__to__s.vc-role");
        assert_eq!(spec.principal, "/path/to/s.vc-principal");
        assert_eq!(spec.id_safe_name(), "path.to.s.vc");
        assert_eq!(spec.role_safe_name(), "path__to__s.vc");
        assert_eq!(spec.dns_safe_name(), "pathtos.vc");
    });
}

#[test]
fn names_that_do_not_fit_dns() {
    let text = "tasks: {'a b': {goal: ONCE, cmd: x, cpus: 1}}";
    warned("4.1/odd-names", pod(text), Code::OddName, "pods.p.tasks.a b");
    fine("4.1/odd-names", pod("tasks: {A-b_c.9: {goal: ONCE, cmd: x, cpus: 1}}"));
}
