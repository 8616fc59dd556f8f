//! What all test processes of one run share: PostgreSQL's programs in a form that spares time, and a place for results.
//!
//! A test that runs the program as its user does makes a cluster for each tape, and each of them waits for the disk. Here
//! `initdb` copies a cluster that was made once, and `postgres` waits for no disk; both are the real ones otherwise. They
//! stand first on the path of whoever wants them; what the programs themselves do is tested with the real ones.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{search_from_environment, test_options};
use crate::{PostgresPrograms, PostgresServer, ServerError, find_postgres};

/// Where every user may pass: as root PostgreSQL runs as another one, which copies the cluster.
const COMMON_TEMPORARY: &str = "/tmp";

/// The directory of a run, removed when dropped.
pub struct TestRun {
    directory: TempDir,
}

impl TestRun {
    /// Makes one, with a cluster in it; takes as long as a start of PostgreSQL.
    pub async fn prepare() -> Result<Self, ServerError> {
        let directory = tempfile::Builder::new()
            .prefix("tapedeck-test-")
            .tempdir_in(COMMON_TEMPORARY)
            .map_err(ServerError::file(COMMON_TEMPORARY, "make a directory in"))?;
        let run = Self { directory };
        open_to_all(run.directory())?;
        let made = run.directory().join("made");
        PostgresServer::start(test_options(made.clone())).await?.stop().await;
        let cluster = run.directory().join("cluster");
        fs::rename(made.join("data"), &cluster).map_err(ServerError::file(&cluster, "move"))?;
        let programs = find_postgres(&search_from_environment(), None)?;
        run.write_programs(&programs, &cluster)?;
        Ok(run)
    }

    /// The directory; results that tests share are put into it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of PostgreSQL's programs, for the front of a path.
    pub fn programs(&self) -> PathBuf {
        programs_of(self.directory())
    }

    fn write_programs(&self, real: &PostgresPrograms, cluster: &Path) -> Result<(), ServerError> {
        let directory = self.programs();
        fs::create_dir(&directory).map_err(ServerError::file(&directory, "make the directory"))?;
        open_to_all(&directory)?;
        let (postgres, cluster) = (real.postgres().display().to_string(), cluster.display().to_string());
        for (name, text) in [
            ("pg_config", format!("echo '{}'\n", directory.display())),
            ("postgres", format!("exec '{postgres}' \"$@\" -c fsync=off -c full_page_writes=off\n")),
            ("initdb", initdb(&postgres, &cluster)),
        ] {
            let path = directory.join(name);
            fs::write(&path, format!("#!/bin/sh\nset -eu\n{text}"))
                .map_err(ServerError::file(&path, "write"))?;
            open_to_all(&path)?;
        }
        Ok(())
    }
}

/// Lets every user search a directory or run a program; only its owner may change it.
fn open_to_all(path: &Path) -> Result<(), ServerError> {
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(ServerError::file(path, "open"))
}

/// PostgreSQL's programs in the directory of a run.
pub fn programs_of(run: &Path) -> PathBuf {
    run.join("bin")
}

/// Called as `initdb --pgdata DIRECTORY --username NAME --pwfile /dev/stdin`, and more that the copied cluster was made
/// with, too.
fn initdb(postgres: &str, cluster: &str) -> String {
    format!(
        "cp -Rp '{cluster}/.' \"$2\"\n\
         IFS= read -r password || [ -n \"$password\" ]\n\
         echo \"ALTER ROLE $4 PASSWORD '$password'\" | '{postgres}' --single -F -D \"$2\" postgres >/dev/null\n"
    )
}
