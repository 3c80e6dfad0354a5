//! A terminal of tmux's, with a command in it.

use crate::world::await_that;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Gone with its server when dropped.
pub(super) struct Screen {
    folder: tempfile::TempDir,
}

impl Screen {
    /// Runs a shell command in a terminal of this size; none if there is no tmux, which CI must have.
    pub(super) fn start(size: (u16, u16), command: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI must have tmux");
            eprintln!("SKIPPED: tmux is not there; tests/run installs it");
            return None;
        }
        let screen = Self { folder: tempfile::tempdir().unwrap() };
        let config = "set -g status off\nset -g default-terminal screen-256color\n";
        std::fs::write(screen.path("tmux.conf"), config).unwrap();
        let (width, height) = (size.0.to_string(), size.1.to_string());
        screen.tmux(&["new-session", "-d", "-x", &width, "-y", &height, command]);
        Some(screen)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn call(&self, args: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.env("LC_ALL", "C.UTF-8").env("SHELL", "/bin/sh").env_remove("TMUX").env_remove("NO_COLOR");
        tmux.arg("-u").arg("-S").arg(self.path("socket")).arg("-f").arg(self.path("tmux.conf"));
        tmux.args(args).output().unwrap()
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn resize(&self, (width, height): (u16, u16)) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    pub(super) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What is on it.
    pub(super) fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same, with its colours.
    pub(super) fn colored(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Awaits that all of these are on it.
    pub(super) fn await_text(&self, all: &[&str]) -> String {
        let mut text = String::new();
        await_that(&format!("{all:?} on the screen"), || {
            text = self.text();
            all.iter().all(|one| text.contains(one))
        });
        text
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.call(&["kill-server"]);
    }
}
