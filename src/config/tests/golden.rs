//! Broken files, each with the exact message that it gives: `tests/golden/config/NAME.toml` and `NAME.txt`.
//!
//! A file's comments `#env NAME=value` are its environment. `UPDATE_GOLDEN=1` rewrites the messages.

use std::fs;
use std::path::Path;

fn check(case: &Path, update: bool) -> Result<(), String> {
    let text = fs::read_to_string(case).unwrap();
    let variables: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#env "))
        .collect();
    let Err(mistakes) = super::read(&text, &variables) else {
        return Err(format!("{}: no mistake was found", case.display()));
    };
    let told = format!("{mistakes}\n");
    let golden = case.with_extension("txt");
    if update {
        fs::write(&golden, &told).unwrap();
    }
    let expected =
        fs::read_to_string(&golden).unwrap_or_else(|_| "(there is no such file)\n".to_owned());
    if told == expected {
        return Ok(());
    }
    Err(format!(
        "{}\n--- expected\n{expected}--- told\n{told}",
        golden.display()
    ))
}

#[test]
fn every_broken_file_is_told_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "only {} cases were found", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case, update).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
