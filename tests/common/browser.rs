//! A Chromium without a window, driven over `WebDriver`: <https://www.w3.org/TR/webdriver2/>.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::patience;

/// A browser with one page.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts a browser.
    pub(crate) fn new() -> Self {
        let (driver, port, lines) = (0..10).find_map(|_| Self::driver()).expect("a chromedriver");
        // It writes no more, but its pipe has to stay open.
        std::thread::spawn(move || lines.for_each(drop));
        let mut this = Self { driver, port, session: String::new() };
        let capabilities = json!({
            "goog:chromeOptions": { "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--window-size=1400,900",
            ] },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let created = this.call(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": capabilities } }),
        );
        created["sessionId"].as_str().unwrap().clone_into(&mut this.session);
        this
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

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut from = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            from.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut text = vec![0; length];
        from.read_exact(&mut text).unwrap();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let value = answer["value"].clone();
        assert!(value["error"].is_null(), "{method} {path} {body}: {value}");
        value
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) {
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

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        // The browser goes with its driver.
        _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.driver.id().cast_signed()),
            nix::sys::signal::Signal::SIGTERM,
        );
        _ = self.driver.wait();
    }
}
