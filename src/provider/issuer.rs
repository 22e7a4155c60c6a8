//! An issuer string as registered: one string, or a template for those of many tenants.

/// What stands for the tenant in a template, as in Microsoft's discovery documents.
pub const TENANT: &str = "{tenantid}";

/// An issuer whose tokens a provider may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    is_template: bool,
}

impl Issuer {
    /// One string, compared byte for byte (RFC 7519 §4.1.1).
    pub fn exact(text: impl Into<String>) -> Issuer {
        Issuer {
            text: text.into(),
            is_template: false,
        }
    }

    /// Strings that have a tenant's GUID where the text has [`TENANT`]; without that, one string.
    pub fn template(text: impl Into<String>) -> Issuer {
        let text = text.into();
        Issuer {
            is_template: text.contains(TENANT),
            text,
        }
    }

    /// As it is registered and shown.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is one string.
    pub fn is_exact(&self) -> bool {
        !self.is_template
    }

    /// Whether a token's `iss` is this issuer, or one of the template.
    pub fn matches(&self, iss: &str) -> bool {
        match self.is_template {
            false => self.text == iss,
            true => self.tenant_in(iss).is_some(),
        }
    }

    /// The tenant's GUID in an `iss` of this template.
    pub fn tenant_in<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let (before, after) = self.is_template.then(|| self.text.split_once(TENANT))??;
        let tenant = iss.strip_prefix(before)?.strip_suffix(after)?;
        is_guid(tenant).then_some(tenant)
    }
}

/// A GUID in the form that tokens use: lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub fn is_guid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let fits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    groups
        .into_iter()
        .all(|length| parts.next().is_some_and(|part| fits(part, length)))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    #[test]
    fn a_template_matches_one_guid_and_nothing_else() {
        let template = Issuer::template("https://idp.example/{tenantid}/v2.0");
        let of = |tenant: &str| format!("https://idp.example/{tenant}/v2.0");
        assert_eq!(template.tenant_in(&of(GUID)), Some(GUID));
        for odd in [
            "",
            "{tenantid}",
            "common",
            &GUID.to_uppercase(),
            &GUID[1..],
            &format!("{GUID}/x"),
            &format!("x/{GUID}"),
            &format!("{GUID}-"),
            "72f988bf86f141af91ab2d7cd011db47",
        ] {
            assert!(!template.matches(&of(odd)), "{odd}");
        }
        assert!(!template.matches(&format!("{}/", of(GUID))));
    }

    #[test]
    fn braces_in_an_exact_issuer_are_braces() {
        let exact = Issuer::exact("https://idp.example/{tenantid}");
        assert!(exact.matches("https://idp.example/{tenantid}"));
        assert!(!exact.matches(&format!("https://idp.example/{GUID}")));
    }
}
