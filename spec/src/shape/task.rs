//! `tasks.<name>` and what a task or a resource set holds.

use super::{Key, Kind, Names, Shape, key};

const SECONDS: Kind = Kind::Whole(0, i32::MAX as i64);
const MEGABYTES: Kind = Kind::Whole(1, i32::MAX as i64);

/// What both a task and a resource set may ask for.
const RESOURCES: &[Key] = &[
    key("cpus", Kind::Amount, "Cores to reserve; parts of a core are fine."),
    key("memory", MEGABYTES, "Memory to reserve, in MB."),
    key("gpus", Kind::Whole(1, i32::MAX as i64), "Graphics processors to reserve; whole ones only."),
    key("resource-limits", Kind::Map(&RESOURCE_LIMITS), "How much may be used beyond what is reserved.").later(),
    key("ports", Kind::Named(&PORT, Names::Any), "Ports by name."),
    key("volume", Kind::Map(&VOLUME), "A persistent volume; not together with volumes."),
    key("volumes", Kind::Named(&VOLUME, Names::Any), "Several persistent volumes; not together with volume."),
];

pub(crate) static TASK: Shape = Shape {
    name: "task",
    about: "One process of a pod. It has its own resources or names a resource set.",
    groups: &[
        &[
            key(
                "goal",
                Kind::AnyCase(&["RUNNING", "FINISH", "ONCE"], &["FINISHED"]),
                "When the task counts as done: while it runs, once it finished with the current configuration, or once it \
                 finished ever.",
            )
            .required(),
            key("essential", Kind::Boolean, "Whether its failure restarts the other tasks of the instance too.")
                .default("true")
                .later(),
            key("cmd", Kind::Text, "Command for the shell.").required(),
            key("env", Kind::Variables, "Variables of the task's environment."),
            key("configs", Kind::Named(&CONFIG, Names::Any), "Files rendered into the sandbox before the task starts."),
            key("resource-set", Kind::Text, "Resource set of the pod to use instead of resources of its own."),
        ],
        RESOURCES,
        &[
            key("health-check", Kind::Map(&HEALTH_CHECK), "Command that finds out whether the task is alive."),
            key("readiness-check", Kind::Map(&READINESS_CHECK), "Command that finds out whether the plan may go on."),
            key("discovery", Kind::Map(&DISCOVERY), "Under which name the task is found."),
            key("labels", Kind::Labels { or_map: false }, "Labels of the task, as key:value pairs joined by commas.").later(),
            key("kill-grace-period", Kind::Whole(0, 1_209_600), "Seconds between the request to end and the kill.")
                .default("0")
                .later(),
            key("transport-encryption", Kind::List(&TRANSPORT_ENCRYPTION), "Certificates that the task gets.").later(),
            key("ipc-mode", Kind::Word(&["PRIVATE", "SHARE_PARENT"]), "Whose shared memory the task sees.").later(),
            key("shm-size", Kind::Whole(0, i32::MAX as i64), "Size of /dev/shm of the task, in MB; not together with SHARE_PARENT.").later(),
            key("uris", Kind::Texts, "Files fetched for this task besides those of its pod.").own(),
        ],
    ],
    is_open: false,
};

pub(crate) static RESOURCE_SET: Shape = Shape {
    name: "resource-set",
    about: "Resources that are reserved together, for tasks that use them one after another.",
    groups: &[RESOURCES],
    is_open: false,
};

pub(crate) static RESOURCE_LIMITS: Shape = Shape {
    name: "resource-limits",
    about: "How much may be used beyond what is reserved, where the agent has it.",
    groups: &[&[
        key("cpus", Kind::Limit, "Cores, or unlimited."),
        key("memory", Kind::Limit, "Memory in MB, or unlimited."),
        key("mem", Kind::Limit, "The same as memory, as it is documented elsewhere.").older(),
    ]],
    is_open: false,
};

pub(crate) static VOLUME: Shape = Shape {
    name: "volume",
    about: "A volume that outlives the tasks that write to it.",
    groups: &[&[
        key(
            "path",
            Kind::Matching("[a-zA-Z0-9][a-zA-Z0-9_-]*(/[a-zA-Z0-9][a-zA-Z0-9_-]*)*/*"),
            "Path below the sandbox.",
        )
        .required(),
        key("type", Kind::Word(&["ROOT", "MOUNT"]), "A part of the agent's disk, or a whole disk of its own.")
            .required(),
        key("size", MEGABYTES, "Size in MB; of a whole disk the least size.").required(),
        key("profiles", Kind::Texts, "Profiles of whole disks that will do.").later(),
    ]],
    is_open: false,
};

pub(crate) static PORT: Shape = Shape {
    name: "port",
    about: "A port that is reserved for the task.",
    groups: &[&[
        key("port", Kind::Whole(0, 65535), "Its number, or 0 for one chosen when the pod is placed.").required(),
        key("env-key", Kind::Text, "Variable that holds the number; without it the variable is PORT_ with the name."),
        key("advertise", Kind::Boolean, "Whether the endpoints of the HTTP API list it.").default("false").later(),
        key("vip", Kind::Map(&VIP), "Virtual address in front of the port."),
        key("ranges", Kind::List(&RANGE), "Where a number chosen at placement may lie.").later(),
    ]],
    is_open: false,
};

pub(crate) static VIP: Shape = Shape {
    name: "vip",
    about: "A named virtual address that leads to the port of every instance.",
    groups: &[&[
        key("port", Kind::Whole(1, 65535), "Port of the virtual address.").required(),
        key("prefix", Kind::Text, "First part of the name; by default the name of the port."),
        key("protocol", Kind::AnyCase(&["tcp"], &[]), "Always tcp.").default("tcp").older(),
        key("advertise", Kind::Boolean, "Whether the endpoints of the HTTP API list the port.").default("true").older(),
    ]],
    is_open: false,
};

pub(crate) static RANGE: Shape = Shape {
    name: "range",
    about: "Port numbers from one to another, both included.",
    groups: &[&[
        key("begin", Kind::Whole(0, 65535), "First number.").default("0"),
        key("end", Kind::Whole(0, 65535), "Last number; 0 means the same as leaving it out.").default("65535"),
    ]],
    is_open: false,
};

pub(crate) static CONFIG: Shape = Shape {
    name: "config",
    about: "A file that is rendered from a template before the task starts.",
    groups: &[&[
        key("template", Kind::Filled, "Path of the template, relative to the folder of this file.").required(),
        key("dest", Kind::Filled, "Path of the rendered file, relative to the folder the task starts in.").required(),
    ]],
    is_open: false,
};

pub(crate) static HEALTH_CHECK: Shape = Shape {
    name: "health-check",
    about: "A command run again and again; too many failures in a row end the task.",
    groups: &[&[
        key("cmd", Kind::Filled, "Command for the shell; exit code 0 means healthy.").required(),
        key("interval", SECONDS, "Seconds from one run to the next.").required(),
        key("grace-period", SECONDS, "Seconds at the start in which failures do not count.").required(),
        key("max-consecutive-failures", Kind::Whole(1, i32::MAX as i64), "Failures in a row that end the task.")
            .required(),
        key("delay", SECONDS, "Seconds before the first run.").required(),
        key("timeout", SECONDS, "Seconds after which a run counts as failed.").required(),
    ]],
    is_open: false,
};

pub(crate) static READINESS_CHECK: Shape = Shape {
    name: "readiness-check",
    about: "A command run until it succeeds; the plan waits for it.",
    groups: &[&[
        key("cmd", Kind::Filled, "Command for the shell; exit code 0 means ready.").required(),
        key("interval", SECONDS, "Seconds from one run to the next.").required(),
        key("timeout", SECONDS, "Seconds after which a run counts as failed.").required(),
        key("delay", SECONDS, "Seconds before the first run.").default("0"),
    ]],
    is_open: false,
};

pub(crate) static DISCOVERY: Shape = Shape {
    name: "discovery",
    about: "Under which name a task is found, and by whom.",
    groups: &[&[
        key("prefix", Kind::Text, "The name is this with the index of the instance; by default the name of the task."),
        key("visibility", Kind::Word(&["FRAMEWORK", "CLUSTER", "EXTERNAL"]), "Who may find it.").default("CLUSTER"),
    ]],
    is_open: false,
};

pub(crate) static TRANSPORT_ENCRYPTION: Shape = Shape {
    name: "transport-encryption",
    about: "A key pair with its certificate.",
    groups: &[&[
        key("name", Kind::Filled, "First part of the names of its files.").required(),
        key("type", Kind::Word(&["TLS", "KEYSTORE"]), "Whether it comes as PEM files or as Java key stores.")
            .required(),
    ]],
    is_open: false,
};
