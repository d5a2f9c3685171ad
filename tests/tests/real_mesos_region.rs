//! A service kept in a region of a real Mesos: offers of another region than the master's come and are used.
#![allow(clippy::unwrap_used)]

use mainstay_tests::hello_world::{DEADLINE, HelloWorld};
use mainstay_tests::mesos::{AgentOptions, Options};

fn agent(region: &str) -> AgentOptions {
    AgentOptions { domain: Some((region.to_owned(), format!("{region}-1"))), ..AgentOptions::default() }
}

fn options() -> Options {
    // The master is in the region of the first agent.
    Options { agents: vec![agent("west"), agent("east"), agent("west")], ..Options::default() }
}

#[tokio::test]
async fn pods_run_in_the_region_of_the_service_and_without_one_in_that_of_the_master() {
    for (environment, is_there) in
        [(&[("SERVICE_REGION", "east")][..], [false, true, false]), (&[][..], [true, false, true])]
    {
        let service = HelloWorld::start(options(), environment).await;
        service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
        for (server, id) in service.scheduler.task_ids().await.unwrap() {
            let agent = service.agent_of(&id).await;
            assert!(is_there[agent], "{server} is on agent {agent} with {environment:?}");
        }
    }
}
