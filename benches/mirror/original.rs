//! The original shape, `benches/original.py`, in an environment of its own that has the Docker SDK.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::stage::Stage;

/// How long it has to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A threaded Python server that runs.
pub(crate) struct Original {
    command: Command,
    child: Child,
    pub(crate) address: SocketAddr,
}

/// The Python that has the Docker SDK; it is installed once, under `target`. Otherwise why there is none.
pub(crate) fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("original");
    let python = folder.join("bin/python3");
    let has_sdk = |python: &Path| succeeds(Command::new(python).args(["-c", "import docker"]));
    if has_sdk(&python).is_ok() {
        return Ok(python);
    }
    succeeds(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )
    .map_err(|why| format!("no Python environment: {why}"))?;
    let install = ["-m", "pip", "install", "--quiet", "--retries=1", "docker"];
    succeeds(Command::new(&python).args(install))
        .map_err(|why| format!("no Docker SDK from PyPI: {why}"))?;
    has_sdk(&python).map(|()| python)
}

/// Otherwise the last line that it wrote.
fn succeeds(command: &mut Command) -> Result<(), String> {
    let ended = command.output().map_err(|error| error.to_string())?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    Err(said.trim().lines().last().unwrap_or("it failed").to_owned())
}

impl Original {
    /// Before the stage's engine, for the containers of these names.
    pub(crate) fn start(python: &Path, stage: &Stage, names: &[String]) -> Result<Self, String> {
        let file = stage.folder.join("names");
        fs::write(&file, names.join("\n")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut command = Command::new(python);
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/original.py"))
            .arg(&stage.engine)
            .arg(&stage.prefix)
            .arg(file)
            .arg(address.port().to_string())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut original = Self {
            command,
            child,
            address,
        };
        original.wait()?;
        Ok(original)
    }

    /// Ends it with all that it has not answered yet, and starts it anew.
    pub(crate) fn again(&mut self) -> Result<(), String> {
        self.end();
        self.child = self.command.spawn().map_err(|error| error.to_string())?;
        self.wait()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err("benches/original.py ended at once".to_owned());
            }
            if begun.elapsed() > PATIENCE {
                return Err("benches/original.py does not listen".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn end(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        self.end();
    }
}
