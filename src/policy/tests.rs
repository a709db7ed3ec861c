//! The law held against a ten-line oracle, and a golden matrix that a deployer can read.
