//! Menus: the numbered questions, and the number that comes back.

/// Which line of a menu of `length` lines a canonical text chooses, counted from 0.
///
/// Understood are digits and Chinese numerals, alone or as 第二个, 选3, 2号, 二吧.
#[must_use]
pub fn chosen(canonical: &str, length: usize) -> Option<usize> {
    let rest = canonical.trim_start_matches(['第', '选', '我', '要', '是', '就', '问', ' ']);
    let mut letters = rest.chars();
    let number = match letters.next()? {
        '1' | '一' | '①' => 1,
        '2' | '二' | '两' | '②' => 2,
        '3' | '三' | '③' => 3,
        _ => return None,
    };
    let ends = letters.all(|c| matches!(c, '个' | '号' | '项' | '条' | '吧' | '的' | '呀' | '啊' | '哦' | ' ' | ','));
    (ends && number <= length).then(|| number - 1)
}

/// The menu's lines, numbered from 1.
#[must_use]
pub fn lines<'a>(questions: impl Iterator<Item = &'a String>) -> String {
    questions.enumerate().map(|(place, question)| format!("{}. {question}", place + 1)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_understood_as_people_type_them() {
        for (text, line) in [("1", 0), ("二", 1), ("第三个", 2), ("选2", 1), ("3吧", 2), ("我要第二个", 1), ("一", 0)]
        {
            assert_eq!(chosen(text, 3), Some(line), "{text}");
        }
    }

    #[test]
    fn other_texts_choose_nothing() {
        for text in ["", "4", "10", "1件", "三天能到吗", "2个都要退"] {
            assert_eq!(chosen(text, 3), None, "{text}");
        }
        assert_eq!(chosen("3", 2), None);
    }
}
