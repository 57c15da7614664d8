//! Chromium over its debugging pipe: real keys, real widths, and everything it fetched or said.
//!
//! The pipe is descriptors 3 and 4 of the browser; a shell binds them to two FIFOs, which needs no unsafe
//! code and no WebSocket. Messages are JSON, each ended by a zero byte.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// No answer takes longer, or the browser hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page open.
pub(crate) struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: String,
    calls: u64,
    /// What it said or fetched that a page of ours never does.
    pub(crate) complaints: Vec<String>,
    folder: tempfile::TempDir,
}

/// Chromium, if there is one.
pub(crate) fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium on PATH, so the page was not opened in a browser");
    }
    found
}

impl Browser {
    pub(crate) fn start(browser: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (into, out) = (folder.path().join("into"), folder.path().join("out"));
        for fifo in [&into, &out] {
            let made = Command::new("mkfifo").arg(fifo).status();
            assert!(made.expect("mkfifo runs").success());
        }
        let script = "exec \"$1\" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                      --disable-background-networking --disable-component-update --disable-sync \
                      --user-data-dir=\"$4\" --remote-debugging-pipe about:blank 3<\"$2\" 4>\"$3\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(browser)
            .args([&into, &out])
            .arg(folder.path().join("profile"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        // In the shell's order, since each opening waits for its other end.
        let to = File::options().write(true).open(&into).expect("a pipe");
        let mut out = BufReader::new(File::open(&out).expect("a pipe"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while out.read_until(0, &mut bytes).is_ok_and(|count| count > 0) {
                let text = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
                let message = serde_json::from_slice(text).expect("the browser sends JSON");
                if sender.send(message).is_err() {
                    break;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            calls: 0,
            complaints: Vec::new(),
            folder,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let asked = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", asked);
        session["sessionId"]
            .as_str()
            .expect("a session")
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a page at a width and waits until it is loaded.
    pub(crate) fn open(&mut self, page: &str, width: u32, hash: &str) {
        let file = self.folder.path().join("report.html");
        std::fs::write(&file, page).expect("written");
        let metrics =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.complaints.clear();
        let url = format!("file://{}#{hash}", file.display());
        self.call("Page.navigate", json!({ "url": url }));
        let loaded = "new Promise((done) => document.readyState === 'complete' && location.protocol === 'file:' \
                      ? done(true) : addEventListener('load', () => done(true)))";
        assert_eq!(self.evaluate(loaded), json!(true));
    }

    /// The value of an expression; of what a promise brings.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Presses a key as a keyboard does.
    pub(crate) fn press(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code,
            });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// What is asked of the page's session once there is one, of the browser before.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser listens");
        loop {
            let answer = self.from.recv_timeout(PATIENCE);
            let mut answer = answer.unwrap_or_else(|_| panic!("{method}: the browser is silent"));
            if answer["id"] == json!(id) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.notice(&answer);
        }
    }

    fn notice(&mut self, event: &Value) {
        let params = &event["params"];
        let url = params["request"]["url"].as_str().unwrap_or_default();
        let is_ours = ["file:", "blob:", "data:", "about:"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
                self.complaints.push(event.to_string());
            }
            "Network.requestWillBeSent" if !is_ours => self.complaints.push(url.to_owned()),
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
