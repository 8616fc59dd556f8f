//! Runs the program and reads what it prints.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Outcome of a test.
pub type Outcome = anyhow::Result<()>;

/// A home of its own, and the environment that the program runs in.
pub struct Home {
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    /// An empty home with the default configuration.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, environment: Vec::new() })
    }

    /// Adds a variable to the environment of every command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes `tapedeck.toml`.
    pub fn configure(&self, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.path().join("tapedeck.toml"), text)?)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The program with `arguments`, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
        command
            .args(arguments)
            .env_remove("NATS_URL")
            .env_remove("DATABASE_URL")
            .env("TAPEDECK_HOME", self.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).output()?)
    }

    /// Runs to the end and expects success; gives stdout.
    pub fn text(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments)?;
        anyhow::ensure!(
            output.status.success(),
            "{arguments:?} ended with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs with `--json` to the end, expects success, and reads the document.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        Ok(serde_json::from_str(&self.text(&all)?)?)
    }

    /// Starts and leaves running; stderr goes to `<name>.log` in the home.
    pub fn spawn(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Running> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join(format!("{name}.log")))?;
        let output = std::fs::File::create(self.path().join(format!("{name}.out")))?;
        let child = self.command(arguments).stdout(output).stderr(log).spawn()?;
        Ok(Running { child })
    }

    /// What a started program has printed on stdout so far.
    pub fn printed(&self, name: &str) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.path().join(format!("{name}.out")))?)
    }

    /// What a started program has said on stderr so far.
    pub fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(format!("{name}.log"))).unwrap_or_default()
    }
}

/// Runs a command that is to be refused, and expects its exit code and its words.
pub fn refused(home: &Home, arguments: &[&str], code: i32, words: &[&str]) -> Outcome {
    let output = home.run(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.code() == Some(code), "{arguments:?}: {}: {said}", output.status);
    for word in words {
        anyhow::ensure!(said.contains(word), "{arguments:?}: {word:?} in {said}");
    }
    Ok(())
}

/// A running program; killed when dropped.
pub struct Running {
    child: Child,
}

impl Running {
    /// A process that was started elsewhere.
    pub fn of(child: Child) -> Self {
        Self { child }
    }

    /// True while it runs.
    pub fn alive(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGINT, as Ctrl-C gives, and waits for the exit code.
    pub fn interrupt(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        self.signal("-INT", within)
    }

    /// SIGTERM, as service managers give, and waits for the exit code.
    pub fn terminate(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        self.signal("-TERM", within)
    }

    fn signal(&mut self, signal: &str, within: Duration) -> anyhow::Result<Option<i32>> {
        let pid = self.child.id().to_string();
        Command::new("kill").args([signal, &pid]).status()?;
        self.wait(within)
    }

    /// Waits for its end; gives the exit code.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            anyhow::ensure!(Instant::now() < deadline, "did not end within {within:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls `condition` until it holds.
pub fn eventually(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    loop {
        if condition()? {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The directory of the shared bars. Missing data fail a test; they never skip it.
#[expect(clippy::disallowed_methods, reason = "tests are told where the data are")]
pub fn data() -> anyhow::Result<PathBuf> {
    let directory = std::env::var_os("TAPEDECK_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    anyhow::ensure!(
        directory.join("corporate-actions.csv").exists(),
        "no bars in {}: set TAPEDECK_TEST_DATA to the directory of bars-1h-*.csv.gz",
        directory.display()
    );
    Ok(directory.canonicalize()?)
}

/// The four files of bars, as arguments.
pub fn bar_files() -> anyhow::Result<Vec<String>> {
    let directory = data()?;
    Ok(["AAPL", "BAC", "IBM", "SPY"]
        .map(|symbol| directory.join(format!("bars-1h-{symbol}.csv.gz")).display().to_string())
        .to_vec())
}

/// The file of corporate actions.
pub fn actions_file() -> anyhow::Result<String> {
    Ok(data()?.join("corporate-actions.csv").display().to_string())
}

/// Arguments of a rehearsal of the real bars within `from` and `to`.
pub fn rehearse<'a>(
    bars: &'a [String],
    actions: &'a str,
    from: &'a str,
    to: &'a str,
    more: &[&'a str],
) -> Vec<&'a str> {
    let mut arguments = vec!["rehearse", "--bars"];
    arguments.extend(bars.iter().map(String::as_str));
    arguments.extend(["--actions", actions, "--from", from, "--to", to, "--no-progress"]);
    arguments.extend(more);
    arguments
}

/// Many small strategies, so that a short range gives more than 500 orders.
pub const BUSY: &str = r#"
[account.paper]
cash = 1000000
max_position = 0.5
max_exposure = 1.0
max_order_value = 60000

[strategy.sma_fast]
kind = "sma_cross"
sizing = "fixed:10"
params = { fast = 2, slow = 5 }

[strategy.sma_medium]
kind = "sma_cross"
sizing = "fraction:0.05"
params = { fast = 3, slow = 8 }

[strategy.sma_slow]
kind = "sma_cross"
sizing = "fraction:0.05"
params = { fast = 5, slow = 13 }

[strategy.momentum_short]
kind = "momentum"
sizing = "fixed:25"
params = { lookback = 4, threshold = 0.005, max_position = 0.1 }

[strategy.momentum_long]
kind = "momentum"
sizing = "fraction:0.1"
params = { lookback = 10, threshold = 0.01, max_position = 0.1 }
"#;
