//! How much one step does.

/// What one step may still do, in bytes of text that are rewritten in the time it takes. The first of them is always done.
pub(super) struct Work(usize);

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
