//! How deep a text nests, before it is parsed: the parser's tree is taken down recursively, and a text of
//! a few kilobytes can be written that takes megabytes of stack for that.

/// Levels that one statement may have. The files that this is for have five.
const MAX_DEPTH: usize = 64;

/// Where a text nests too deep, in bytes. Each opening bracket and each dot of a key is a level.
///
/// It reads strings and comments as TOML 1.1 has them and nothing else: what is no TOML is the parser's to
/// say.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    // The level inside of each bracket that is open.
    let mut open = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let inside = open.last().copied().unwrap_or(0);
        match byte {
            b'"' | b'\'' => {
                at = string_end(bytes, at, byte);
                continue;
            }
            b'#' => {
                let rest = bytes[at..].iter();
                at += rest.take_while(|byte| **byte != b'\n').count();
                continue;
            }
            b'.' => depth += 1,
            b'{' | b'[' => {
                depth += 1;
                open.push(depth);
            }
            b'}' | b']' => {
                open.pop();
                depth = open.last().copied().unwrap_or(0);
            }
            // A key begins: none goes on behind these.
            b',' | b'\n' => depth = inside,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Behind the string that begins at `start`, or behind its line if it does not end.
fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let delimiter: &[u8] = match bytes[start..].starts_with(&[quote; 3]) {
        true => &[quote; 3],
        false => &[quote],
    };
    let may_span_lines = delimiter.len() == 3;
    let mut at = start + delimiter.len();
    while let Some(&byte) = bytes.get(at) {
        if bytes[at..].starts_with(delimiter) {
            let end = at + delimiter.len();
            // A string of several lines may end with two quotation marks of its own.
            let own = bytes[end..].iter().take_while(|byte| **byte == quote);
            return end
                + if may_span_lines {
                    own.take(2).count()
                } else {
                    0
                };
        }
        match byte {
            b'\n' if !may_span_lines => return at,
            b'\\' if quote == b'"' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_dots_of_one_statement_add_up() {
        let dots = |levels: usize| vec!["a"; levels + 1].join(".");
        assert_eq!(too_deep(&format!("{} = 1", dots(64))), None);
        assert_eq!(too_deep(&format!("{} = 1", dots(65))), Some(129));
        assert_eq!(too_deep(&"[".repeat(64)), None);
        assert_eq!(too_deep(&"[".repeat(65)), Some(64));
        let nested = format!("{} = {{ {} = 1", dots(32), dots(31));
        assert_eq!(too_deep(&nested), None);
        assert!(too_deep(&format!("{nested}.{}", dots(1))).is_some());
        assert!(too_deep(&format!("a = 1\n{} = {{\n\nb = {{ {}", dots(32), dots(32))).is_some());
    }

    #[test]
    fn statements_do_not_add_up() {
        let many = "[a.b]\nc.d = [1.5, {e.f = 2.5}, 'x'] # {[.\n".repeat(100);
        assert_eq!(too_deep(&many), None);
        let siblings = format!("a = [{}]", "{b.c = 1}, ".repeat(100));
        assert_eq!(too_deep(&siblings), None);
    }

    #[test]
    fn strings_and_comments_do_not_count() {
        let deep = ".".repeat(100);
        for text in [
            format!("a = \"{deep}\""),
            format!("a = '{deep}'"),
            format!("a = \"\\\"{deep}\""),
            format!("a = \"\"\"\"{deep}\n\"{deep}\"\"\"\"\" # {deep}"),
            format!("a = '''{deep}\n\\''' # {deep}"),
            format!("# {deep}"),
            format!("a = \"{deep}"),
            format!("a = \"\"\"{deep}"),
        ] {
            assert_eq!(too_deep(&text), None, "{text}");
        }
        for text in [
            format!("a = '\\'{deep}"),
            format!("a = \"x\n{deep}"),
            format!("a = ''{deep}"),
            format!("a = \"\"\"x\"\"\"{deep}"),
        ] {
            assert!(too_deep(&text).is_some(), "{text}");
        }
    }
}
