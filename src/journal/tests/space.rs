//! A disk that is full: a real file system of a few pages, filled to the byte.

use std::process::Command;

use super::*;

const PAGE: usize = 4096;

/// A small file system of its own. Needs root, as a target does.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn new(pages: usize) -> Self {
        let disk = Self { dir: tempfile::tempdir().unwrap() };
        let size = format!("size={}", pages * PAGE);
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(disk.dir.path()).status();
        assert!(mounted.unwrap().success(), "a tmpfs can be mounted");
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.path("filler")).unwrap();
        while file.write_all(&[0; PAGE]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.dir.path()).status());
    }
}

/// A header that makes the journal's first record end so many bytes before the page does.
fn ending_before_the_page(path: &Path, room: usize) -> Event {
    let mut header = header(1);
    let mut journal = Journal::create(path).unwrap();
    journal.append(Event::RunStarted(Box::new(header.clone()))).unwrap();
    // A time is written with as many digits as it has: pad for the longest, and cut what is too much.
    let length = usize::try_from(std::fs::metadata(path).unwrap().len()).unwrap();
    std::fs::remove_file(path).unwrap();
    header.inventory = "i".repeat(PAGE - room - length + header.inventory.len());
    Event::RunStarted(Box::new(header))
}

#[test]
fn an_append_that_finds_no_room_leaves_nothing_of_itself_and_the_next_one_follows() {
    let disk = Disk::new(4);
    let path = disk.path("journal");
    let mut torn = 0;
    for room in 0..160 {
        let first = ending_before_the_page(&path, room);
        let mut journal = Journal::create(&path).unwrap();
        journal.append(first).unwrap();
        let before = std::fs::read(&path).unwrap();
        disk.fill();
        let event = || Event::StepStarted { step: name(0), attempt: 1 };
        match journal.append(event()) {
            // It ended with the page.
            Ok(_) => assert_eq!(read(&path).unwrap().1.len(), 2),
            Err(error) => {
                torn += 1;
                assert!(crate::engine::chain(&error).ends_with("No space left on device (os error 28)"), "{error}");
                assert_eq!(std::fs::read(&path).unwrap(), before, "with {room} bytes of room");
                assert_eq!(read(&path).unwrap().1.len(), 1);
                disk.free();
                journal.append(event()).unwrap();
                assert_eq!(read(&path).unwrap().1.len(), 2);
                disk.fill();
            }
        }
        disk.free();
        std::fs::remove_file(&path).unwrap();
    }
    assert!(torn > 100, "{torn} appends found no room");
}

#[test]
fn a_process_that_dies_with_the_disk_full_leaves_a_journal_that_can_be_gone_on_with() {
    let disk = Disk::new(3);
    let path = disk.path("journal");
    for cut in 1..100 {
        let mut journal = Journal::create(&path).unwrap();
        for event in one_step().into_iter().take(2) {
            journal.append(event).unwrap();
        }
        drop(journal);
        // What a torn append left, without anybody to cut it off.
        let whole = std::fs::read(&path).unwrap();
        let last = lines(&path)[1];
        std::fs::write(&path, &whole[..(last + cut).min(whole.len() - 1)]).unwrap();
        disk.fill();
        assert_eq!(read(&path).unwrap().1.len(), 1, "reading needs no room");
        let (mut journal, _) = Journal::open(&path).unwrap();
        disk.free();
        journal.append(Event::StepStarted { step: name(0), attempt: 1 }).unwrap();
        assert_eq!(read(&path).unwrap().1.len(), 2);
        std::fs::remove_file(&path).unwrap();
    }
}
