//! Secrets that a person types on a terminal, which `script` of util-linux gives to drctl.

#![expect(clippy::unwrap_used, reason = "what cannot be prepared is a failure")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DRCTL: &str = env!("CARGO_BIN_EXE_drctl");

/// The questions, and what is typed.
const SNAPSHOTS: (&str, &str) = ("Word for the snapshots: ", "Bearer of-snapshots\n");
const PKI: (&str, &str) = ("Word for the PKI: ", "Bearer of-pki\n");

/// The paths and `Authorization`s that a web server was asked with.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A web server that has nothing.
fn server() -> (u16, Asked) {
    let (listener, asked) = (TcpListener::bind("127.0.0.1:0").unwrap(), Asked::default());
    let port = listener.local_addr().unwrap().port();
    let told = Arc::clone(&asked);
    std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &told)));
    (port, asked)
}

fn answer(mut stream: TcpStream, asked: &Asked) {
    let head: Vec<String> =
        BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let authorization = head.iter().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
    asked.lock().unwrap().push((path.to_owned(), authorization.to_owned()));
    stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
}

/// drctl on a terminal, and what appears on it.
struct Screen {
    child: Child,
    pieces: Receiver<String>,
    shown: String,
}

impl Screen {
    /// `drctl check` with two secrets to ask for at once; how it ended and how the terminal is, follow.
    fn of(dir: &std::path::Path, port: u16) -> Self {
        let text = format!(
            "[cluster]\nname = 'prod'\nendpoint = '127.0.0.1:1'\n\
             [target]\nhost = '127.0.0.1'\nport = 1\nssh_config = 'none'\nreconnect_for = '1s'\n\
             [[snapshots]]\nobject_store = {{ url = 'http://127.0.0.1:{port}/a.db', allow_http = true, authorization = {{ prompt = '{}' }} }}\n\
             [pki]\nobject_store = {{ url = 'http://127.0.0.1:{port}/pki/', allow_http = true, authorization = {{ prompt = '{}' }} }}\n",
            SNAPSHOTS.0.trim_end_matches(": "),
            PKI.0.trim_end_matches(": ")
        );
        std::fs::write(dir.join("prod.toml"), text).unwrap();
        let command = format!(
            "trap : INT; stty echo; {DRCTL} --state state check --inventory prod.toml; echo ended with $?; stty -a"
        );
        let mut child = Command::new("script")
            .args(["-qfc", &command, "/dev/null"])
            .current_dir(dir)
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdout, (tell, pieces)) = (child.stdout.take().unwrap(), channel());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if tell.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, pieces, shown: String::new() }
    }

    /// The question that is asked next; `None` when drctl has ended.
    fn question(&mut self) -> Option<(&'static str, &'static str)> {
        loop {
            self.shown += &self.pieces.recv_timeout(Duration::from_mins(1)).ok()?;
            if let Some(asked) = [SNAPSHOTS, PKI].into_iter().find(|(question, _)| self.shown.ends_with(question)) {
                return Some(asked);
            }
        }
    }

    /// Types, when whatever else wants the terminal has had time to take it.
    fn types(&mut self, question: &str, answer: &str) {
        std::thread::sleep(Duration::from_millis(500));
        self.shown.extend(self.pieces.try_iter());
        assert!(self.shown.ends_with(question), "{question} did not stay: {:?}", self.shown);
        self.child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn each_question_is_asked_once_and_gets_its_own_answer() {
    let (dir, (port, asked)) = (tempfile::tempdir().unwrap(), server());
    let mut screen = Screen::of(dir.path(), port);
    let mut questions = Vec::new();
    while let Some((question, answer)) = screen.question() {
        questions.push(question);
        screen.types(question, answer);
    }
    questions.sort_unstable();
    assert_eq!(questions, [PKI.0, SNAPSHOTS.0], "{}", screen.shown);
    assert!(screen.shown.contains("ended with 3"), "{}", screen.shown);
    assert!(screen.shown.contains(" echo ") && !screen.shown.contains("Bearer"), "{}", screen.shown);
    let asked = asked.lock().unwrap();
    for (path, authorization) in asked.iter() {
        let own = if path.starts_with("/pki") { PKI.1 } else { SNAPSHOTS.1 };
        assert_eq!(authorization, own.trim_end(), "{path}");
    }
    assert!(asked.iter().any(|(path, _)| path == "/a.db") && asked.iter().any(|(path, _)| path.starts_with("/pki")));
}

#[test]
fn whoever_interrupts_a_question_has_a_terminal_that_shows_what_is_typed() {
    let (dir, (port, _)) = (tempfile::tempdir().unwrap(), server());
    let mut screen = Screen::of(dir.path(), port);
    let (question, _) = screen.question().unwrap();
    screen.types(question, "half a wo\x03");
    assert_eq!(screen.question(), None, "{}", screen.shown);
    assert!(screen.shown.contains("ended with 130") && screen.shown.contains(" echo "), "{}", screen.shown);
}
