//! Runs the program and reads what it prints.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use local_servers::testing::{programs_of, run_directory};
use serde_json::Value;

/// How long a test rests between two looks, at least and at most.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(1);
/// After so many rests the next ones are longer: what takes a minute may be seen a second late.
const RESTS: u32 = 20;

/// Outcome of a test.
pub type Outcome = anyhow::Result<()>;

/// A home of its own, and the environment that the program runs in.
pub struct Home {
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    /// An empty home with the default configuration. Its tapes get their clusters from those who run the tests, where these
    /// have one: making one for each takes longer than what is tested.
    pub fn new() -> anyhow::Result<Self> {
        let mut home = Self::of_a_newcomer()?;
        if let Some(run) = run_directory() {
            home.set("PATH", &format!("{}:{}", programs_of(&run).display(), path()));
        }
        Ok(home)
    }

    /// An empty home whose tapes run on PostgreSQL as it is on this machine, as everybody's do.
    pub fn of_a_newcomer() -> anyhow::Result<Self> {
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

/// Where programs are looked for.
#[expect(clippy::disallowed_methods, reason = "a program that is started finds others where this one does")]
fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// What `make` comes to, worked out once for all tests of a run: by the first that asks, whatever its process. A test that
/// runs alone works it out by itself.
pub fn once(name: &str, make: impl FnOnce() -> anyhow::Result<Value>) -> anyhow::Result<Value> {
    let Some(run) = run_directory() else { return make() };
    // Held until the end of this function; who dies with it gives it back.
    let lock = std::fs::File::create(run.join(format!("{name}.lock")))?;
    lock.lock()?;
    let (path, beside) = (run.join(format!("{name}.json")), run.join(format!("{name}.new")));
    if path.exists() {
        return Ok(serde_json::from_slice(&std::fs::read(&path)?)?);
    }
    let made = make()?;
    std::fs::write(&beside, made.to_string())?;
    std::fs::rename(&beside, &path)?;
    Ok(made)
}

/// Polls `condition` until it holds. After each look it rests as long as the look took, so that what is waited for has the
/// other half of the time, and longer the longer it has waited.
pub fn eventually(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let first = Instant::now();
    loop {
        let look = Instant::now();
        if condition()? {
            return Ok(());
        }
        let waited = first.elapsed();
        anyhow::ensure!(waited < within, "not within {within:?}: {what}");
        std::thread::sleep(look.elapsed().max(waited / RESTS).clamp(REST_MIN, REST_MAX));
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

/// The bars of the dates from `from` to `to` in four files of their own, cut once in a run of the tests: who is killed and
/// started again reads its files again, and twenty-five years are read for as long as a round of it takes. A test that runs
/// alone takes the whole files.
pub fn bar_files_of(from: &str, to: &str) -> anyhow::Result<Vec<String>> {
    let whole = bar_files()?;
    let Some(run) = run_directory() else { return Ok(whole) };
    let name = format!("bars-{from}-{to}");
    let cut = once(&name, || {
        let directory = run.join(&name);
        std::fs::create_dir_all(&directory)?;
        let files = whole.iter().map(|file| cut(file, from, to, &directory));
        Ok(files.collect::<anyhow::Result<Vec<_>>>()?.into())
    })?;
    Ok(serde_json::from_value(cut)?)
}

/// Writes the rows of some dates into a file in `directory`; gives its path.
fn cut(file: &str, from: &str, to: &str, directory: &Path) -> anyhow::Result<String> {
    let whole = Command::new("gzip").args(["-dc", file]).output()?;
    anyhow::ensure!(whole.status.success(), "{file}: {}", String::from_utf8_lossy(&whole.stderr));
    let text = String::from_utf8(whole.stdout)?;
    let (header, rows) = text.split_once('\n').unwrap_or_default();
    let is_within = |row: &&str| {
        let date = row.split(',').nth(2).and_then(|time| time.get(..10)).unwrap_or_default();
        (from..=to).contains(&date)
    };
    let kept: Vec<&str> = [header].into_iter().chain(rows.lines().filter(is_within)).collect();
    let name = Path::new(file).file_stem().unwrap_or_default();
    let path = directory.join(name);
    std::fs::write(&path, kept.join("\n") + "\n")?;
    Ok(path.display().to_string())
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
