//! A shell that outlives the test process, however that ends: then it ends the service and takes its
//! directory away. Each service has one.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// The shell, and the pipe whose end it waits for. Children of the test process do not inherit that.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Watches over a directory.
    pub(crate) fn over(dir: &Path) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH]).arg(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A signal to the test's group, as the terminal sends it, is not for the one who cleans up.
        let mut shell = shell.process_group(0).spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Which process it ends from now on; 0 is none.
    pub(crate) fn tell(&mut self, pid: u32) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => writeln!(pipe, "{pid}"),
            None => Ok(()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ended = self.shell.wait();
    }
}

/// `$0` is the directory. A process that was stopped hears nothing before it goes on.
const WATCH: &str = r#"
pid=0
while read -r told; do pid=$told; done
if [ "$pid" -gt 0 ]; then
  kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children")
  kill -QUIT "$pid"
  tries=0
  while grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status" && [ "$tries" -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  if [ "$tries" -eq 100 ]; then kill -KILL "$pid"; fi
fi
rm -rf "$0"
"#;
