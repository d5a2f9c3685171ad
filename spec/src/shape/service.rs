//! The root and `scheduler`.

use super::{Kind, Names, Shape, key, plan, pod};

pub(crate) static SERVICE: Shape = Shape {
    name: "service",
    about: "One service: what to run, as whom, and in which plans.",
    groups: &[&[
        key(
            "name",
            Kind::Filled,
            "Name of the service and of its framework; slashes make folders, two underscores in a row are refused.",
        )
        .required(),
        key("web-url", Kind::Text, "Link that user interfaces of Mesos show for the service."),
        key("scheduler", Kind::Map(&SCHEDULER), "How the scheduler registers with Mesos."),
        key(
            "pods",
            Kind::Named(&pod::POD, Names::Parts),
            "Pods by type; their order is the order of the default deployment.",
        )
        .required(),
        key("plans", Kind::Named(&plan::PLAN, Names::Any), "Plans by name; without a plan deploy, one is generated."),
    ]],
    is_open: false,
};

pub(crate) static SCHEDULER: Shape = Shape {
    name: "scheduler",
    about: "How the scheduler registers with Mesos and where it keeps its state.",
    groups: &[&[
        key(
            "principal",
            Kind::Text,
            "Principal of the framework and of what it reserves; by default the name of the service with -principal.",
        ),
        key(
            "zookeeper",
            Kind::Text,
            "Ensemble that names the master and keeps the state, as host:port pairs joined by commas.",
        )
        .default("master.mesos:2181"),
        key("user", Kind::Text, "User of the machine that every task runs as; it cannot be changed later.")
            .default("root"),
        key("role", Kind::Text, "Role to reserve for; by default derived from the name of the service.").older(),
        key("api-port", Kind::Whole(1, 65535), "Port of the HTTP API; the variable PORT_API names it now.").older(),
    ]],
    is_open: false,
};
