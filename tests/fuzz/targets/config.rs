//! The text of a configuration: the same answer each time, every mistake at a place that the text has, and no key that
//! nobody knows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayer_controller::config::{self, Environment, Place};

fuzz_target!(|text: &str| {
    let read = |text: &str| config::parse("fuzz.toml", text, &Environment::default());
    match (read(text), read(text)) {
        (Ok(config), Ok(again)) => {
            assert_eq!(config.revision.as_str(), again.revision.as_str());
            assert!(!config.containers.is_empty());
            let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
            let Err(mistakes) = read(&format!("nobody-knows = 1\n{plain}")) else {
                panic!("a key that nobody knows is taken");
            };
            assert!(mistakes.to_string().contains("nobody-knows"), "{mistakes}");
        }
        (Err(mistakes), Err(again)) => {
            let told = mistakes.to_string();
            assert_eq!(told, again.to_string());
            assert!(!mistakes.list().is_empty());
            assert!(
                !told.contains(|c: char| c != '\n' && c.is_control()),
                "{told:?}"
            );
            let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
            let lines: Vec<&str> = plain.split('\n').collect();
            for mistake in mistakes.list() {
                if let Place::Text { line, column, .. } = mistake.place() {
                    let length = lines[line - 1].chars().count();
                    assert!((1..=length + 1).contains(column), "{mistake:?}");
                }
            }
        }
        _ => panic!("once good and once bad"),
    }
});
