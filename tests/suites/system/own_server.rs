//! A nats-server of the user's own, which takes its users from its own configuration.

use std::time::{Duration, Instant};

use local_servers::testing::{TestNats, TestPostgres};
use serde_json::Value;

use crate::hands::Login;
use crate::harness::{Home, Outcome, actions_file, bar_files, eventually, rehearse};

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_of_the_users_own_the_user_block_is_told() -> Outcome {
    let nats = TestNats::start().await?;
    let postgres = TestPostgres::shared().await?;
    let database = postgres.create_database(None).await?;
    let mut home = Home::new()?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", database.url());
    let (bars, actions) = (bar_files()?, actions_file()?);
    let more = ["--tape", "theirs", "--only", "ingest", "--wait-for", "guest"];
    let _waiting = home.spawn("rehearse", &rehearse(&bars, &actions, "2014-05-15", "2014-05-16", &more))?;
    eventually("the tape is made", Duration::from_secs(60), || {
        Ok(home.said("rehearse").contains("waiting for"))
    })?;

    let file = home.path().join("guest.json");
    let path = file.display().to_string();
    let told = home.json(&["strategy", "register", "guest", "--tape", "theirs", "--credentials", &path])?;
    let block = told["to_add"].as_str().unwrap_or_default();
    let login = Login::read(file)?;
    assert!(block.contains("strategy-guest") && !block.contains(&login.word("password")), "{block}");
    assert!(login.connect().await.is_err(), "the server does not know the user yet");

    // Its operator adds an account with the block, as docs/strategies.md says, and has the server read its configuration
    // again, and once more for the account's imports.
    let users = nats.directory().join("nats/users.conf");
    let text = std::fs::read_to_string(&users)?;
    let (before, after) = text.rsplit_once('}').ok_or_else(|| anyhow::anyhow!("{text}"))?;
    let subjects = [
        "signal.>",
        "$JS.ACK.>",
        "$JS.API.DIRECT.GET.*.>",
        "$JS.API.CONSUMER.MSG.NEXT.*.*",
        "$JS.API.CONSUMER.RESET.*.*",
    ];
    let imports =
        subjects.map(|subject| format!("{{ service: {{ account: TAPE, subject: \"{subject}\" }} }}"));
    let imports = imports.join(", ");
    let account = format!("  user-strategy-guest {{ users: [ {block} ], imports: [ {imports} ] }}\n");
    std::fs::write(&users, format!("{before}{account}}}{after}"))?;
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(nats.directory().join("nats/running.json"))?)?;
    let pid = record["pid"].to_string();
    let read_again = || std::process::Command::new("kill").args(["-HUP", &pid]).status();
    read_again()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let client = loop {
        match login.connect().await {
            Ok(client) => break client,
            Err(error) => anyhow::ensure!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    read_again()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let reset = client.request("$JS.API.CONSUMER.RESET.MARKET.strategy-guest", r#"{"seq":1}"#.into()).await?;
    let reset: Value = serde_json::from_slice(&reset.payload)?;
    assert_eq!(reset["config"]["filter_subjects"][0], "market.bar.>", "{reset}");
    assert!(client.request("$JS.API.STREAM.INFO.TRADING", "".into()).await.is_err());
    Ok(())
}
