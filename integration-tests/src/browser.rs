//! A real browser: headless Chromium, driven over WebDriver (W3C), which is JSON over HTTP.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{http, until};

/// The member of an element reference that holds its id (WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const STARTED_WITHIN: Duration = Duration::from_secs(60);

const ARGUMENTS: &[&str] = &[
    "--headless=new",
    // The browser opens pages of this test only, and a container's root has no other way.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,960",
];

/// One browser window.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    _profile: TempDir,
}

/// A node of the page.
#[derive(Clone, Debug)]
pub struct Element(String);

impl Browser {
    /// Starts a browser with an empty profile.
    pub fn start() -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("updraft-browser-").tempdir()?;
        let log = profile.path().join("chromedriver.log");
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            // Killed, it leaves its files where they are removed with the profile.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(Stdio::null())
            // The browser's processes are in the group of the driver, and end with it.
            .process_group(0)
            .spawn()
            .context("chromedriver cannot be started; install the package chromium-driver")?;
        let mut browser = Self { driver, session: String::new(), _profile: profile };
        let port = until("the port of chromedriver", STARTED_WITHIN, || {
            let said = fs::read_to_string(&log)?;
            let after = said.split("successfully on port ").nth(1);
            Ok(after.and_then(|rest| rest.split_once('.')?.0.parse::<u16>().ok()))
        })?;
        browser.open_session(port)?;
        Ok(browser)
    }

    fn open_session(&mut self, port: u16) -> Result<()> {
        let folder = self._profile.path().join("profile");
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|it| (*it).to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", folder.display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let driver = format!("http://127.0.0.1:{port}");
        let value = call("POST", &format!("{driver}/session"), Some(&wanted))?;
        let id = value["sessionId"].as_str().context("no session id")?;
        self.session = format!("{driver}/session/{id}");
        Ok(())
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("url", &json!({ "url": url }))?;
        Ok(())
    }

    /// The elements that a CSS selector chooses, in the order of the page.
    pub fn find_all(&self, css: &str) -> Result<Vec<Element>> {
        let found = self.post("elements", &json!({ "using": "css selector", "value": css }))?;
        let list = found.as_array().context("no list of elements")?;
        list.iter()
            .map(|it| Ok(Element(it[ELEMENT].as_str().context("no element id")?.to_owned())))
            .collect()
    }

    /// Waits for the first element that a CSS selector chooses.
    pub fn wait_for(&self, css: &str, within: Duration) -> Result<Element> {
        until(&format!("an element {css}"), within, || Ok(self.find_all(css)?.into_iter().next()))
    }

    /// The text of an element as a person reads it.
    pub fn text(&self, element: &Element) -> Result<String> {
        let value = self.get(&format!("element/{}/text", element.0))?;
        Ok(value.as_str().context("no text")?.to_owned())
    }

    /// Whether a person sees the element.
    pub fn is_shown(&self, element: &Element) -> Result<bool> {
        self.get(&format!("element/{}/displayed", element.0))?.as_bool().context("no answer")
    }

    /// An attribute of an element.
    pub fn attribute(&self, element: &Element, name: &str) -> Result<Option<String>> {
        let value = self.get(&format!("element/{}/attribute/{name}", element.0))?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// Clicks as a person does: the element must be visible and not covered.
    pub fn click(&self, element: &Element) -> Result<()> {
        self.post(&format!("element/{}/click", element.0), &json!({}))?;
        Ok(())
    }

    /// What a function body in the page returns.
    pub fn evaluate(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Errors that the page has logged so far: each is told once.
    pub fn errors(&self) -> Result<Vec<String>> {
        let entries = self.post("se/log", &json!({ "type": "browser" }))?;
        let severe = entries.as_array().into_iter().flatten().filter(|it| it["level"] == "SEVERE");
        Ok(severe.map(|entry| entry["message"].to_string()).collect())
    }

    /// Writes a picture of the window, as PNG.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        let value = self.get("screenshot")?;
        let bytes = from_base64(value.as_str().context("no picture")?)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    }

    fn get(&self, path: &str) -> Result<Value> {
        call("GET", &format!("{}/{path}", self.session), None)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        call("POST", &format!("{}/{path}", self.session), Some(body))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The group holds the driver and the browser, so one signal ends both for sure.
        if let Some(group) = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        drop(self.driver.wait());
    }
}

fn call(method: &str, url: &str, body: Option<&Value>) -> Result<Value> {
    let mut answer = http::send(method, url, &[], body)?.json()?;
    let value = answer["value"].take();
    if let Some(error) = value.get("error") {
        let message = value["message"].as_str().unwrap_or_default();
        bail!("the browser refuses {method} {url}: {error}: {message}");
    }
    Ok(value)
}

fn from_base64(text: &str) -> Result<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace() && *letter != b'=') {
        let value = ALPHABET.iter().position(|known| *known == letter);
        let value = u32::try_from(value.context("not base64")?)?;
        bits = (bits << 6) | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff)?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length_is_decoded() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("/+8=", b"\xff\xef"),
        ] {
            assert_eq!(from_base64(text).unwrap(), bytes, "{text}");
        }
        assert!(from_base64("!").is_err());
    }

    #[test]
    fn a_page_is_opened_read_clicked_and_pictured() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let page = folder.path().join("page.html");
        fs::write(
            &page,
            "<title>t</title><button onclick=\"this.nextSibling.textContent='pressed'\">Press</button><p></p>",
        )?;
        let browser = Browser::start()?;
        browser.open(&format!("file://{}", page.display()))?;
        let button = browser.wait_for("button", Duration::from_secs(10))?;
        assert_eq!(browser.text(&button)?, "Press");
        assert_eq!(browser.text(&browser.find_all("p")?[0])?, "");
        browser.click(&button)?;
        assert_eq!(browser.text(&browser.find_all("p")?[0])?, "pressed");
        assert_eq!(browser.evaluate("return document.title")?, "t");
        assert!(browser.find_all("video")?.is_empty());
        assert!(browser.errors()?.is_empty());
        let picture = folder.path().join("shots/page.png");
        browser.screenshot(&picture)?;
        assert!(fs::read(&picture)?.starts_with(b"\x89PNG"));
        Ok(())
    }
}
