mod stream;
mod texts;
