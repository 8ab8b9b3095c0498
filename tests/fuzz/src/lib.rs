//! What the fuzz targets share.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

/// Bytes behind a path, in memory, gone when dropped.
pub struct InMemory {
    file: File,
}

impl InMemory {
    /// A file that holds these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let file = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::empty()).expect("memory");
        let mut file = File::from(file);
        file.write_all(bytes).expect("memory");
        Self { file }
    }

    /// Its path in this process.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

/// What a person is shown of an error, which must not fail either.
pub fn draw(error: &dyn miette::Diagnostic) {
    let mut text = String::new();
    miette::GraphicalReportHandler::new().render_report(&mut text, error).expect("it can be drawn");
}
