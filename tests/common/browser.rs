//! A Chromium without a window, driven over `WebDriver`: <https://www.w3.org/TR/webdriver2/>.

use std::fs;
use std::io::{self, BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{KILL, patience};

/// A browser with one page.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// The main process of the browser, once there is a session.
    pid: Option<i32>,
    /// What the browser keeps on the disk. Its path tells the processes of the browser from all others.
    data: TempDir,
}

impl Browser {
    /// Starts a browser.
    pub(crate) fn new() -> Self {
        let (driver, port, lines) = (0..10).find_map(|_| Self::driver()).expect("a chromedriver");
        // It writes no more, but its pipe has to stay open.
        std::thread::spawn(move || lines.for_each(drop));
        let data = tempfile::Builder::new().prefix("trc-browser-").tempdir().unwrap();
        let data_dir = format!("--user-data-dir={}", data.path().display());
        let mut this = Self { driver, port, session: String::new(), pid: None, data };
        let capabilities = json!({
            "goog:chromeOptions": { "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--window-size=1400,900", data_dir,
            ] },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let created = this.call(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": capabilities } }),
        );
        created["sessionId"].as_str().unwrap().clone_into(&mut this.session);
        let pid = created["capabilities"]["goog:processID"].as_i64();
        this.pid = pid.map(|pid| i32::try_from(pid).unwrap());
        this
    }

    /// Returns the text that the command lines of its processes have, and no others.
    pub(crate) fn mark(&self) -> String {
        self.data.path().display().to_string()
    }

    /// Starts chromedriver. It fails if somebody else takes the port that it has chosen.
    fn driver() -> Option<(Child, u16, Lines<BufReader<ChildStdout>>)> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        if port.is_none() {
            driver.wait().unwrap();
        }
        Some((driver, port?, lines))
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        // `wait_until` may take twice the patience.
        let answer = call(self.port, method, path, body, 3 * patience());
        let value = answer.unwrap_or_else(|why| panic!("{method} {path} {body}: {why}"));
        assert!(value["error"].is_null(), "{method} {path} {body}: {value}");
        value
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) {
        // What the browser itself has opened first is of no interest.
        self.post("/url", &json!({ "url": "about:blank" }));
        self.requests();
        self.post("/url", &json!({ "url": url }));
    }

    /// Runs the body of a function in the page, and returns its value.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true, which changes only with what the page consists of.
    #[track_caller]
    pub(crate) fn wait_until(&self, expression: &str) {
        let script = format!(
            "const end = arguments[1];
             const look = () => {{
                 if ({expression}) {{ observer.disconnect(); end(true); }}
             }};
             const observer = new MutationObserver(look);
             const changes = {{ subtree: true, childList: true, attributes: true, characterData: true }};
             observer.observe(document, changes);
             setTimeout(() => end(false), arguments[0]);
             look();"
        );
        let patience = u64::try_from(patience().as_millis()).unwrap();
        self.post("/timeouts", &json!({ "script": 2 * patience }));
        let met = self.post("/execute/async", &json!({ "script": script, "args": [patience] }));
        if met != Value::Bool(true) {
            let page = self.run("return document.body.innerText;");
            panic!("waited until {expression}; the page shows {}", page.as_str().unwrap());
        }
    }

    /// Clicks on the only element that a CSS selector finds, as a person would.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types into the only element that a CSS selector finds.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Lets the page see that its user likes it `light` or `dark`.
    pub(crate) fn prefers(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let params = json!({ "features": features });
        self.post(
            "/goog/cdp/execute",
            &json!({ "cmd": "Emulation.setEmulatedMedia", "params": params }),
        );
    }

    /// Sets the size of the page.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let params =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let cmd = "Emulation.setDeviceMetricsOverride";
        self.post("/goog/cdp/execute", &json!({ "cmd": cmd, "params": params }));
    }

    /// Returns the errors and warnings on the console since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let bad =
            |entry: &&Value| ["SEVERE", "WARNING"].contains(&entry["level"].as_str().unwrap());
        let all = log.as_array().unwrap().iter().filter(bad);
        all.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the addresses that the page has asked for since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "performance" }));
        let message = |entry: &Value| -> Value {
            serde_json::from_str(entry["message"].as_str().unwrap()).unwrap()
        };
        let all = log.as_array().unwrap().iter().map(message);
        all.filter(|it| it["message"]["method"] == "Network.requestWillBeSent")
            .map(|it| it["message"]["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Asks a driver, and returns the value of its answer. Nothing may take longer than this.
pub(crate) fn call(
    port: u16,
    method: &str,
    path: &str,
    body: &Value,
    within: Duration,
) -> io::Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(within))?;
    let body = if method == "POST" { body.to_string() } else { String::new() };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut from = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text)?;
    let answer: Value = serde_json::from_slice(&text)?;
    Ok(answer["value"].clone())
}

/// Returns the processes whose command line has this text.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(text)
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has).collect()
}

impl Drop for Browser {
    /// Leaves nothing behind, also if the test fails or the driver no longer answers.
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let path = format!("/session/{}", self.session);
            _ = call(self.port, "DELETE", &path, &Value::Null, Duration::from_secs(10));
        }
        _ = self.driver.kill();
        _ = self.driver.wait();
        // The main process first, which starts the others.
        let mut left = processes_with(&self.mark());
        left.sort_by_key(|pid| Some(*pid) != self.pid);
        for pid in left {
            super::kill(pid, KILL);
        }
    }
}
