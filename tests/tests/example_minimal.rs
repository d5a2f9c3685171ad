//! The smallest service that uses the scheduler as a library, on an embedded cluster.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use mainstay_tests::port::free_port;
use mainstay_tests::proc_scan::processes_of_folder;
use mainstay_tests::process::{Program, binary};
use mainstay_tests::{http, wait};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(30);
const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/minimal/svc.yml");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_deploys_runs_the_plan_of_its_own_and_calls_its_hook() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cluster_folder = folder.path().join("cluster");
    let cluster = mainstay_devcluster::start(mainstay_devcluster::Options::new(&cluster_folder, 1)).await?;
    // The example serves the executor that lies beside it.
    binary("mainstay-executor")?;
    let port = free_port()?;
    let program = binary("mainstay-example-minimal")?;
    let mut example = Program::new("mainstay-example-minimal", program, folder.path().join("log"))
        .arg(SPEC)
        .env("PORT_API", port.to_string())
        .env("MESOS_MASTER", cluster.master_url())
        .env("STATE_STORE", format!("file:{}", folder.path().join("state").display()))
        .env("SCHEDULER_API_HOSTNAME", "127.0.0.1")
        .spawn()?;

    // The hook's words.
    example.wait_for_line("minimal: plan deploy is complete", WITHIN).await?;
    let started = http::post_json(&format!("http://127.0.0.1:{port}/v1/plans/greet/start"), &json!({})).await?;
    started.success()?;
    example.wait_for_line("minimal: plan greet is complete", WITHIN).await?;
    // What the plan is for.
    wait::wait_until("the greeting is in the sandbox", WITHIN, async || {
        Ok(outputs(&cluster_folder).iter().any(|text| text == "hello from 0\n"))
    })
    .await?;

    example.terminate()?;
    example.wait_for_line("its tasks run on", WITHIN).await?;
    cluster.shutdown().await;
    let left = processes_of_folder(&cluster_folder);
    if !left.is_empty() {
        bail!("processes are left: {left:?}");
    }
    Ok(())
}

/// The standard output of every task.
fn outputs(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // Links lead to the same folders again.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(outputs(&path));
        } else if entry.file_name() == "stdout" && folder.parent().is_some_and(|parent| parent.ends_with("tasks")) {
            found.extend(std::fs::read_to_string(path));
        }
    }
    found
}
