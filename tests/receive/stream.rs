//! Streams as an agent makes them.

use sealtail::chain::host_key::HostKey;
use sealtail::chain::stamp::Stamp;
use sealtail::chain::{Chain, Facts, LogRecord};
use sealtail::record::{End, StreamId, Verdicts};
use sha2::Digest;

pub(crate) struct Stream {
    pub(crate) host: String,
    pub(crate) id: StreamId,
    /// `None` once closed.
    chain: Option<Chain>,
    /// Lines that are in no segment yet.
    open: Vec<u8>,
}

impl Stream {
    pub(crate) fn begin(host: &str) -> Self {
        Self::endorsed_by(host, &HostKey::generate_ed25519().unwrap())
    }

    pub(crate) fn endorsed_by(host: &str, key: &HostKey) -> Self {
        let facts = Facts {
            stream: sealtail::chain::new_stream().unwrap(),
            host: host.to_owned(),
            config: [1; 32],
            policy: [2; 32],
            erasure: Vec::new(),
            targets: vec!["archive".to_owned()],
            prev: None,
        };
        let auditor = age::x25519::Identity::generate().to_public();
        let mut open = Vec::new();
        let chain = Chain::begin(&facts, &[auditor], key, &mut open).unwrap();
        Self { host: host.to_owned(), id: chain.stream(), chain: Some(chain), open }
    }

    fn chain(&mut self) -> &mut Chain {
        self.chain.as_mut().expect("the stream is open")
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.chain().next_seq()
    }

    pub(crate) fn root(&mut self) -> [u8; 32] {
        self.chain().tip().root
    }

    pub(crate) fn log(&mut self, message: &[u8]) -> &mut Self {
        let mut open = std::mem::take(&mut self.open);
        let at = self.chain().stamp();
        let record = LogRecord { source: 1, offset: 0, end: End::Newline, message, redacted: None };
        self.chain().log(&mut open, &at, &record, &Verdicts::default());
        self.open = open;
        self
    }

    /// Whatever else a chain can hold.
    #[allow(dead_code, reason = "receivers look at no payloads")]
    pub(crate) fn add(&mut self, add: impl FnOnce(&mut Chain, &mut Vec<u8>, &Stamp)) -> &mut Self {
        let mut open = std::mem::take(&mut self.open);
        let at = self.chain().stamp();
        add(self.chain(), &mut open, &at);
        self.open = open;
        self
    }

    /// `count` log lines and a checkpoint, not compressed.
    pub(crate) fn segment(&mut self, count: usize) -> String {
        for n in 0..count {
            self.log(format!("message {n}").as_bytes());
        }
        let mut open = std::mem::take(&mut self.open);
        let at = self.chain().stamp();
        self.chain().checkpoint(&mut open, &at);
        String::from_utf8(open).unwrap()
    }

    /// As `segment`, compressed.
    pub(crate) fn batch(&mut self, count: usize) -> Vec<u8> {
        frame(&self.segment(count))
    }

    /// The lines that have no checkpoint, as a stream that was cut off ends.
    pub(crate) fn cut_off(&mut self) -> Vec<u8> {
        frame(&String::from_utf8(std::mem::take(&mut self.open)).unwrap())
    }

    /// The stream's orderly end.
    pub(crate) fn close(&mut self) -> Vec<u8> {
        let mut open = std::mem::take(&mut self.open);
        self.chain.take().unwrap().close(&mut open, "stop");
        frame(&String::from_utf8(open).unwrap())
    }

    pub(crate) fn path(&self, first: u64) -> String {
        format!("/v1/{}/{}/{first}", self.host, self.id)
    }
}

/// SHA-256, by another way than the receiver's.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

pub(crate) fn frame(lines: &str) -> Vec<u8> {
    zstd::encode_all(lines.as_bytes(), 1).unwrap()
}
