//! `pods.<type>` and the mappings of a pod besides its tasks.

use super::{
    Kind, Names, Shape, key,
    task::{RESOURCE_SET, TASK, VOLUME},
};

const SHM: Kind = Kind::Whole(0, i32::MAX as i64);

pub(crate) static POD: Shape = Shape {
    name: "pod",
    about: "A kind of instance: tasks that run side by side on one agent.",
    groups: &[&[
        key("count", Kind::Whole(0, 10_000), "Number of instances.").required(),
        key("allow-decommission", Kind::Boolean, "Permits to lower the count or to remove the pod later.")
            .default("false")
            .later(),
        key(
            "placement",
            Kind::Text,
            "Where instances may run: constraints as a JSON list of lists or as field:OPERATOR:value.",
        ),
        key("image", Kind::Filled, "Container image of every task; without it tasks see the files of the agent."),
        key(
            "networks",
            Kind::Named(&NETWORK, Names::Any),
            "Networks the pod joins, by name; without any it shares the network of the agent.",
        ),
        key(
            "rlimits",
            Kind::Named(&RLIMIT, Names::Listed(RLIMITS)),
            "Limits of the kernel on the processes of the pod.",
        ),
        key("uris", Kind::Texts, "Files fetched into the sandbox of every task."),
        key("tasks", Kind::Named(&TASK, Names::Parts), "Tasks by name.").required(),
        key(
            "resource-sets",
            Kind::Named(&RESOURCE_SET, Names::Any),
            "Resources that tasks name instead of listing their own.",
        ),
        key("volume", Kind::Map(&VOLUME), "A persistent volume that all tasks share."),
        key("volumes", Kind::Named(&VOLUME, Names::Any), "Several persistent volumes that all tasks share."),
        key("host-volumes", Kind::Named(&HOST_VOLUME, Names::Any), "Folders of the agent that every task sees.")
            .later(),
        key(
            "external-volumes",
            Kind::Named(&EXTERNAL_VOLUME, Names::Any),
            "Volumes of a volume driver that every task sees.",
        )
        .later(),
        key("secrets", Kind::Named(&SECRET, Names::Any), "Secrets that every task gets.").later(),
        key("pre-reserved-role", Kind::Text, "Reserve out of what is already reserved for this role.")
            .default("*")
            .later(),
        key("share-pid-namespace", Kind::Boolean, "Tasks of the pod see the processes of each other.")
            .default("false")
            .later(),
        key("seccomp-unconfined", Kind::Boolean, "Run without a filter of system calls.").later(),
        key("seccomp-profile-name", Kind::Text, "Filter of system calls to run under.").later(),
        key("ipc-mode", Kind::Word(&["PRIVATE"]), "Whose shared memory the pod sees.").later(),
        key("shm-size", SHM, "Size of /dev/shm of the pod, in MB.").later(),
        key("container", Kind::Map(&CONTAINER), "Older block for image, networks and rlimits.").older(),
        key("user", Kind::Text, "Older key; it must name the user of the service.").older(),
        key("strategy", Kind::Text, "Never had an effect.").older(),
        key("isolate-tmp", Kind::Boolean, "Has no effect.").older(),
    ]],
    is_open: true,
};

pub(crate) static CONTAINER: Shape = Shape {
    name: "container",
    about: "Older spelling of the keys image, networks and rlimits of a pod.",
    groups: &[&[
        key("image-name", Kind::Text, "Container image of every task."),
        key("networks", Kind::Named(&NETWORK, Names::Any), "Networks the pod joins, by name."),
        key(
            "rlimits",
            Kind::Named(&RLIMIT, Names::Listed(RLIMITS)),
            "Limits of the kernel on the processes of the pod.",
        ),
    ]],
    is_open: false,
};

pub(crate) static NETWORK: Shape = Shape {
    name: "network",
    about: "A network that the pod joins.",
    groups: &[&[
        key("host-ports", Kind::Ports, "Ports of the agent, one for each of container-ports."),
        key("container-ports", Kind::Ports, "Ports of the container that the ports of the agent lead to."),
        key("labels", Kind::Labels { or_map: true }, "Labels for the network, as key:value pairs joined by commas."),
    ]],
    is_open: false,
};

/// Names of limits.
pub(crate) const RLIMITS: &[&str] = &[
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

pub(crate) static RLIMIT: Shape = Shape {
    name: "rlimit",
    about: "A limit of the kernel; without values, or with -1 twice, unlimited.",
    groups: &[&[
        key("soft", Kind::Whole(-1, i64::MAX), "What processes get; they may raise it up to the hard limit."),
        key("hard", Kind::Whole(-1, i64::MAX), "The most that processes may ask for."),
    ]],
    is_open: false,
};

pub(crate) static SECRET: Shape = Shape {
    name: "secret",
    about: "A secret of the cluster's store, as a variable, a file, or both.",
    groups: &[&[
        key("secret", Kind::Filled, "Path of the secret in the store.").required(),
        key("env-key", Kind::Text, "Variable that holds the secret."),
        key(
            "file",
            Kind::Text,
            "File below the sandbox that holds the secret; by default, without env-key, its own path.",
        ),
    ]],
    is_open: false,
};

pub(crate) static HOST_VOLUME: Shape = Shape {
    name: "host-volume",
    about: "A folder of the agent that every task of the pod sees.",
    groups: &[&[
        key("host-path", Kind::Matching("/[a-zA-Z0-9._/-]*"), "Absolute path on the agent.").required(),
        key("container-path", Kind::Matching("[a-zA-Z0-9._-][a-zA-Z0-9._/-]*"), "Path below the sandbox.").required(),
        key("mode", Kind::Word(&["RW", "RO"]), "Whether tasks may write.").default("RW"),
    ]],
    is_open: false,
};

pub(crate) static EXTERNAL_VOLUME: Shape = Shape {
    name: "external-volume",
    about: "A volume of a volume driver that every task of the pod sees.",
    groups: &[&[
        key("type", Kind::Word(&["DOCKER"]), "Kind of driver.").required(),
        key("container-path", Kind::Filled, "Path in the container.").required(),
        key("driver-name", Kind::Text, "Driver to ask for the volume."),
        key("driver-options", Kind::Text, "Options of the driver, as key=value pairs joined by semicolons."),
        key("volume-name", Kind::Text, "First part of the name of the volume; by default made of service and pod."),
        key("volume-mode", Kind::Word(&["RW", "RO"]), "Whether tasks may write.").default("RW"),
    ]],
    is_open: false,
};
