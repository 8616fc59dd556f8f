//! scratch
use std::sync::Arc;
use std::time::Duration;
#[tokio::main]
async fn main() {
    let pool = sqlx::PgPool::connect("postgres://postgres@127.0.0.1:54999/dev").await.expect("pg");
    let tape: event_log::Tape = Arc::new(event_log::MemoryLog::new());
    let context = runtime::Context {
        tape: tape.clone(),
        clock: runtime::ClockMode::Tape,
        health: Default::default(),
        shutdown: Default::default(),
    };
    let config = web::WebConfig {
        bind: "127.0.0.1:8123".parse().expect("addr"),
        public_hosts: vec![],
        pool: pool.clone(),
        tape: "demo".into(),
        mode: web::Mode::Demo,
        speed: web::Speed::Times(1500.0),
        secret: [7; 32],
        ready_lag_events_max: 1000,
        stale_after: Duration::from_secs(5),
        version: "0.1.0".into(),
    };
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            sqlx::query("SELECT dev_tick()").execute(&pool).await.ok();
            for n in ["trading", "bars"] {
                tape.hint(&format!("projection.{n}.committed"), b"1".to_vec()).await.ok();
            }
        }
    });
    let server = web::bind(context, config).await.expect("bind");
    println!("{}", server.url());
    server.serve().await.expect("serve");
}
