//! The HTML report in a real browser: on a screen, light and dark, and on paper.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use drctl::report::{Evidence, html};
use tempfile::TempDir;

use crate::made::{self, failed, hostile, passed};

/// A report in a file, and a browser of its own.
struct Page {
    dir: TempDir,
}

type Colour = [u8; 3];

/// A picture that the browser took.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

impl Page {
    fn of(evidence: &Evidence) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("report.html"), html(evidence)).expect("a file");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the browser says, with these options.
    fn browser(&self, options: &[&str]) -> String {
        let output = Command::new("chromium")
            .env("HOME", self.dir.path())
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", self.path("browser").display()))
            .args(options)
            .arg(format!("file://{}", self.path("report.html").display()))
            .output()
            .expect("chromium is installed: tests/needs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn picture(&self, dark: bool, width: usize, height: usize) -> Picture {
        let path = self.path("picture.png");
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        let size = format!("--window-size={width},{height}");
        self.browser(&[&scheme, &size, &format!("--screenshot={}", path.display())]);
        let picture = Picture::read(&path);
        assert_eq!((picture.width, picture.height), (width, height));
        picture
    }
}

impl Picture {
    fn read(path: &Path) -> Self {
        let mut decoder = png::Decoder::new(BufReader::new(File::open(path).expect("a picture")));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("a frame");
        let pixels = bytes.chunks_exact(info.color_type.samples());
        let pixels = pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: info.width as usize, height: info.height as usize, pixels }
    }

    /// How many pixels have this colour, in a part of the height.
    fn count(&self, colour: Colour, part: std::ops::Range<usize>) -> usize {
        let rows = self.pixels.chunks_exact(self.width).enumerate().filter(|(row, _)| part.contains(row));
        rows.flat_map(|(_, row)| row).filter(|pixel| **pixel == colour).count()
    }
}

const WHITE: Colour = [0xff, 0xff, 0xff];
const NIGHT: Colour = [0x11, 0x16, 0x1b];
const GOOD: Colour = [0x17, 0x77, 0x4a];
const GOOD_AT_NIGHT: Colour = [0x57, 0xc0, 0x8c];
const BAD: Colour = [0xb3, 0x26, 0x1e];
const BARS: Colour = [0x3f, 0x67, 0x96];

#[test]
fn the_verdict_is_seen_first_by_day_and_by_night() {
    let page = Page::of(&passed(26));
    let (day, night) = (page.picture(false, 1200, 3600), page.picture(true, 1200, 3600));
    for (picture, paper, good) in [(&day, WHITE, GOOD), (&night, NIGHT, GOOD_AT_NIGHT)] {
        assert_eq!(picture.pixels[0], paper);
        let first = picture.count(good, 0..400);
        assert!(first > 8_000, "only {first} pixels of the first screen are the verdict's");
        let empty = picture.count(paper, 0..picture.height);
        assert!(empty * 100 < picture.pixels.len() * 97, "the page is all but blank: {empty} pixels are paper");
    }
    let bars = day.count(BARS, 700..1600);
    assert!(bars > 4_000, "only {bars} pixels of bars in the timeline");
    let failed = Page::of(&failed(26)).picture(false, 1200, 1600);
    assert!(failed.count(BAD, 0..400) > 8_000 && failed.count(GOOD, 0..400) == 0);
}

#[test]
fn the_browser_reads_what_is_meant() {
    let evidence = passed(26);
    let dom = Page::of(&evidence).browser(&["--dump-dom"]);
    assert!(dom.contains("</svg>Passed</h1>"), "{dom}");
    for text in
        [made::UID, "within the limit of 2m", "kubeadm-init", "What was proved, and how", &evidence.trend[25].id]
    {
        assert!(dom.contains(text), "{text} is not told");
    }
    // Each picture says in words what it shows; each table has heads.
    let pictures = dom.matches("<svg").count() - dom.matches("aria-hidden=\"true\" viewBox").count();
    assert_eq!(dom.matches("role=\"img\"").count(), 5, "{pictures} pictures");
    assert_eq!(dom.matches("<svg class=\"mark\"").count() + 5, dom.matches("<svg").count());
    assert!(dom.matches("<title").count() >= 6);
    let tables = dom.matches("<table").count();
    assert_eq!((tables, dom.matches("<thead").count()), (4, 4));
    assert_eq!(dom.matches("<h1").count(), 1);
}

/// Whatever could make a browser ask somebody: a report is read where there may be no network, and must tell nobody.
#[test]
fn nothing_is_fetched_and_nothing_is_run() {
    for evidence in [passed(26), failed(3), hostile()] {
        let file = html(&evidence);
        for asks in [
            "src=",
            "href=",
            "url(",
            "@import",
            "<link",
            "<script",
            "<iframe",
            "<img",
            "<object",
            "<base",
            "http-equiv",
        ] {
            let told = file.matches(asks).count();
            // What is only text, in its escaped form, asks nobody.
            let escaped = file.matches("&lt;script src=&quot;").count();
            let allowed = if asks == "src=" { escaped } else { 0 };
            assert_eq!(told, allowed, "{asks}");
        }
    }
    let dom = Page::of(&hostile()).browser(&["--dump-dom"]);
    assert!(!dom.contains("<script"), "text of a target became markup: {dom}");
    assert!(dom.contains("&lt;script src="));
}

#[test]
fn it_prints_on_paper() {
    let page = Page::of(&passed(26));
    let paper = page.path("report.pdf");
    // Who prints at night prints on white.
    let dark = "--blink-settings=preferredColorScheme=0";
    page.browser(&[dark, "--no-pdf-header-footer", &format!("--print-to-pdf={}", paper.display())]);
    let drawn = Command::new("pdftoppm")
        .args(["-png", "-r", "50"])
        .arg(&paper)
        .arg(page.path("sheet"))
        .status()
        .expect("pdftoppm is installed: tests/needs");
    assert!(drawn.success());
    let mut sheets: Vec<PathBuf> = std::fs::read_dir(page.dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sheet-")))
        .collect();
    sheets.sort();
    assert!((3..=6).contains(&sheets.len()), "{sheets:?}");
    let first = Picture::read(&sheets[0]);
    // A4 at 50 dots an inch.
    assert_eq!((first.width, first.height), (414, 585));
    assert_eq!(first.pixels[0], WHITE);
    assert!(first.count(GOOD, 0..150) > 500);
}

#[test]
fn it_is_readable_on_a_telephone() {
    let page = Page::of(&failed(26));
    // Nothing but what scrolls by itself is wider than the screen.
    let probe =
        "<script>addEventListener('load',()=>{document.title='wide '+document.documentElement.scrollWidth})</script>";
    let file = std::fs::read_to_string(page.path("report.html")).expect("a file");
    std::fs::write(page.path("report.html"), file.replace("</body>", &format!("{probe}</body>"))).expect("a file");
    let dom = page.browser(&["--window-size=500,900", "--dump-dom"]);
    let wide = dom.split("<title>wide ").nth(1).and_then(|rest| rest.split('<').next()).expect("the probe ran");
    assert!(wide.parse::<u32>().expect("a number") <= 500, "{wide} pixels wide on a screen of 500");
}
