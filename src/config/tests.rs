//! The shipped file, the layers, and broken files with the very words that people get to read.
