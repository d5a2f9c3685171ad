//! What the engine does not honour yet: it is read and kept, and starting it is refused by name.
//!
//! A row that leaves this file is honoured, and has its test where it is.

use mainstay_spec::Code;

use super::support::{Input, loaded, pod, row, task};

/// Is read, and a scheduler refuses to start it, saying where.
#[track_caller]
fn not_yet(rows: &str, input: Input, path: &str) {
    row(rows, || {
        let report = loaded(input).unwrap_or_else(|report| panic!("{report}")).unsupported().expect("honoured");
        let found: Vec<_> =
            report.diagnostics.iter().map(|diagnostic| (diagnostic.code, diagnostic.path.as_str())).collect();
        assert_eq!(found, [(Code::NotSupportedYet, path)], "{rows}");
        assert!(report.to_string().contains("refuses to start"), "{report}");
    });
}

#[test]
fn what_is_kept_and_refused_at_the_start() {
    let encryption = "transport-encryption: [{name: a, type: TLS}]";
    not_yet("4.5/tls-secret", task(encryption), "pods.p.tasks.t.transport-encryption");
}

#[test]
fn the_folder_for_temporary_files_is_that_of_the_agent() {
    row("2.4/tmp", || {
        let loaded = loaded(pod("isolate-tmp: true")).unwrap();
        let warning = &loaded.warnings[0];
        assert_eq!((warning.code, warning.path.as_str()), (Code::KeyWithoutEffect, "pods.p.isolate-tmp"));
        assert!(warning.message.contains("tasks use /tmp of their agent"), "{}", warning.message);
    });
}
