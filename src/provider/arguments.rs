//! The arguments of a registration one by one: what is wrong with each, and what to write instead.

use super::presets::{OptionError, Preset};
use super::row::MAX_URL_BYTES;

/// The longest name of a provider: what PostgreSQL keeps of an identifier, in bytes (NAMEDATALEN - 1).
pub const MAX_NAME_BYTES: usize = 63;
/// As much of a wrong argument as an error repeats, in characters.
const MAX_SHOWN: usize = 100;

/// Why a row is not a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The column or argument at fault.
    pub argument: String,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

pub(super) fn error(
    argument: &str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> RowError {
    RowError {
        argument: argument.to_owned(),
        message: message.into(),
        hint: hint.into(),
    }
}

impl From<OptionError> for RowError {
    fn from(cause: OptionError) -> Self {
        error(cause.argument, cause.problem, cause.hint)
    }
}

pub(super) fn find_preset(kind: &str) -> Result<&'static Preset, RowError> {
    Preset::find(kind).ok_or_else(|| {
        let kinds: Vec<_> = super::presets::ALL
            .iter()
            .map(|preset| preset.kind)
            .collect();
        error(
            "kind",
            format!("\"{}\" is not a kind of provider", shown(kind)),
            format!("The kinds are {}.", kinds.join(", ")),
        )
    })
}

/// An argument as an error repeats it: not more than a line of it.
pub(super) fn shown(argument: &str) -> &str {
    match argument.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => &argument[..end],
        None => argument,
    }
}

pub(super) fn check_name(name: &str) -> Result<(), RowError> {
    if name.is_empty() || name.trim() != name || name.len() > MAX_NAME_BYTES || has_controls(name) {
        return Err(error(
            "name",
            "the name of a provider is empty, too long, or has odd characters",
            format!(
                "Give name => 'a-short-name', at most {MAX_NAME_BYTES} bytes, no control characters."
            ),
        ));
    }
    Ok(())
}

pub(super) fn check_texts(argument: &str, texts: &[String]) -> Result<(), RowError> {
    if texts
        .iter()
        .any(|text| text.is_empty() || has_controls(text))
    {
        return Err(error(
            argument,
            format!("{argument} has an element that is empty or has control characters"),
            "Leave the element out.",
        ));
    }
    Ok(())
}

pub(super) fn check_url(argument: &str, url: &str) -> Result<(), RowError> {
    let hint = "Keys are fetched from an https:// address; give jwks_uri => 'https://…' or pinned keys \
                with jwks => '{\"keys\": […]}'.";
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let problem = match rest {
        None => "is not a URL",
        Some(_) if url.len() > MAX_URL_BYTES => "is too long",
        Some(_) if url.bytes().any(|b| b <= b' ' || b == 0x7f || b >= 0x80) => {
            "has white space, control or non-ASCII characters"
        }
        Some(_) if url.contains('#') => "has a fragment",
        Some(rest) => {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            if authority.is_empty() {
                "has no host"
            } else if authority.contains('@') {
                "has a user name or password"
            } else if has_bad_port(authority) {
                "has an impossible port"
            } else {
                return Ok(());
            }
        }
    };
    Err(error(argument, format!("the key address {problem}"), hint))
}

/// Whether a port stands behind the host that is not one; an IPv6 address stands in brackets.
fn has_bad_port(authority: &str) -> bool {
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    after_host
        .split_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_err())
}

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}
