//! The arguments of a registration as JSON: what `add_<kind>()` takes, written as one object.
//!
//! `examples/verify` takes a registration so, from a bug report.

use super::arguments::{RowError, error, find_preset, shown};
use super::{Row, Secret};
use serde_json::{Map, Value};

/// The symmetric secret, which is no part of a row.
const SECRET: &str = "jwt_secret";

/// A registration: a row, and a secret where one is given.
#[derive(Debug)]
pub struct Registration {
    /// The row.
    pub row: Row,
    /// The secret, checked.
    pub secret: Option<Secret>,
}

impl Registration {
    /// Reads the arguments of `add_<kind>()`: the members have their names, a text is a string, an array
    /// of texts is an array, `clock_skew` is an interval (`"30 s"`, `"5 min"`) or a number of seconds,
    /// `jwks` is the key set itself or its text. A member that is null is not given.
    ///
    /// # Errors
    /// [`RowError`] names an argument that does not exist, or has another type.
    pub fn read(kind: &str, arguments: &Map<String, Value>) -> Result<Registration, RowError> {
        let preset = find_preset(kind)?;
        let mut row = Row {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            enabled: true,
            role_claim: "role".to_owned(),
            clock_skew: 30.0,
            ..Row::default()
        };
        let mut secret = None;
        for (name, value) in arguments.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                "name" => row.name = text(name, value)?,
                "issuers" => row.issuers = texts(name, value)?,
                "audiences" => row.audiences = texts(name, value)?,
                "any_audience" => row.any_audience = boolean(name, value)?,
                "authorized_parties" => row.authorized_parties = texts(name, value)?,
                "role_claim" => row.role_claim = text(name, value)?,
                "allowed_roles" => row.allowed_roles = Some(texts(name, value)?),
                "default_role" => row.default_role = Some(text(name, value)?),
                "clock_skew" => row.clock_skew = seconds(name, value)?,
                "algorithms" => row.algorithms = Some(texts(name, value)?),
                "jwks" => row.jwks = Some(json_text(value)),
                "jwks_uri" => row.jwks_uri = Some(text(name, value)?),
                "for_requests" => row.for_requests = Some(boolean(name, value)?),
                SECRET if preset.may_have_secret => secret = Some(text(name, value)?),
                own if preset.own_arguments.contains(&own) => {
                    row.options.insert(name.clone(), value.clone());
                }
                unknown => return Err(unknown_argument(kind, unknown)),
            }
        }
        let secret = match secret {
            None => None,
            Some(text) => {
                let (provider, _) = row.clone().judge()?;
                Some(Secret::new(text, &provider.issuers)?)
            }
        };
        Ok(Registration { row, secret })
    }
}

fn unknown_argument(kind: &str, name: &str) -> RowError {
    error(
        name,
        format!("\"{}\" is not an argument of add_{kind}()", shown(name)),
        "The members have the names of the function's arguments.",
    )
}

fn wrong_type(name: &str, wanted: &str) -> RowError {
    error(
        name,
        format!("{name} is not {wanted}"),
        format!("Write {wanted}."),
    )
}

fn text(name: &str, value: &Value) -> Result<String, RowError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| wrong_type(name, "a string"))
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, RowError> {
    let elements = value.as_array().and_then(|elements| {
        elements
            .iter()
            .map(|element| element.as_str().map(str::to_owned))
            .collect()
    });
    elements.ok_or_else(|| wrong_type(name, "an array of strings"))
}

fn boolean(name: &str, value: &Value) -> Result<bool, RowError> {
    value
        .as_bool()
        .ok_or_else(|| wrong_type(name, "true or false"))
}

/// The text of a key set, or the key set itself.
fn json_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number of seconds, or a number and a unit as PostgreSQL reads an interval.
fn seconds(name: &str, value: &Value) -> Result<f64, RowError> {
    let read = |text: &str| {
        let text = text.trim();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let factor = match unit.trim() {
            "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            _ => return None,
        };
        number.parse::<f64>().ok().map(|number| number * factor)
    };
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => read(text),
        _ => None,
    };
    seconds.ok_or_else(|| wrong_type(name, "an interval like \"30 s\" or a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: &str, arguments: Value) -> Result<Registration, RowError> {
        Registration::read(kind, arguments.as_object().unwrap())
    }

    #[test]
    fn arguments_are_read_by_their_names() {
        let read = read(
            "auth0",
            json!({"tenant": "t", "tenant_region": null, "audiences": ["api"], "clock_skew": "1 min",
                   "for_requests": false, "jwks": {"keys": []}}),
        );
        let row = read.unwrap().row;
        assert_eq!(row.name, "auth0");
        assert_eq!(row.options, *json!({"tenant": "t"}).as_object().unwrap());
        assert_eq!(row.clock_skew, 60.0);
        assert_eq!(row.for_requests, Some(false));
        assert_eq!(row.jwks.as_deref(), Some("{\"keys\":[]}"));
    }

    #[test]
    fn what_is_no_argument_of_the_kind_is_named() {
        for (kind, arguments, argument) in [
            ("auth0", json!({"domain": "x"}), "domain"),
            ("auth0", json!({"jwt_secret": "x"}), "jwt_secret"),
            ("auth0", json!({"audiences": "api"}), "audiences"),
            ("auth0", json!({"any_audience": 1}), "any_audience"),
            ("clerk", json!({"clock_skew": "1 fortnight"}), "clock_skew"),
            ("clerk", json!({"clock_skew": []}), "clock_skew"),
            ("nobody", json!({}), "kind"),
            (
                "supabase",
                json!({"jwt_issuer": "https://a.example", "jwt_secret": "short"}),
                "jwt_secret",
            ),
        ] {
            assert_eq!(read(kind, arguments).unwrap_err().argument, argument);
        }
    }
}
