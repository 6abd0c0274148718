//! The amount of work in one step.

/// The remaining work of one step, in bytes of text that could be rewritten in that time. The first byte is always
/// allowed.
pub(in crate::guard) struct Work(usize);

impl Work {
    pub fn new(size: usize) -> Self {
        Work(size.max(1))
    }

    pub fn left(&self) -> usize {
        self.0
    }

    pub fn is_left(&self) -> bool {
        self.0 > 0
    }

    pub fn spend(&mut self, size: usize) {
        self.0 = self.0.saturating_sub(size);
    }
}
