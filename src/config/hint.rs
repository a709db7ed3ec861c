//! "Did you mean": the word that somebody most likely wanted to write.

/// Longer words are no slips of the finger, and comparing them costs memory by the product of the lengths.
const MOST: usize = 64;

/// The candidate that is nearest to the word, if any is near.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > MOST {
        return None;
    }
    let plain = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&plain, &self::plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.len().min(word.len()) / 5 && *distance < candidate.len()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of slips between two words; one, where somebody went on after the right word, as in `listen_on`.
fn distance(word: &str, candidate: &str) -> usize {
    if candidate.len() >= 4
        && word
            .strip_prefix(candidate)
            .is_some_and(|rest| rest.starts_with('_'))
    {
        return 1;
    }
    strsim::damerau_levenshtein(word, candidate)
}

pub(super) fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

/// Words as the end of a sentence: `a`, `b` or `c`.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
        None => String::new(),
    }
}

/// Case and the kind of dash are what people mix up most.
fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_near_words() {
        let verbs = ["status", "start", "stop", "restart", "stats"];
        assert_eq!(nearest("strat", verbs), Some("start"));
        assert_eq!(nearest("START", verbs), Some("start"));
        assert_eq!(nearest("stopp", verbs), Some("stop"));
        assert_eq!(nearest("reboot", verbs), None);
        assert_eq!(nearest("", verbs), None);
        assert_eq!(nearest("*", verbs), None);
        assert_eq!(nearest(&"x".repeat(10_000), verbs), None);
    }
}
