//! Wordings with placeholders `{{ name }}`: a placeholder that cannot be filled is an error, never a gap.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior};

/// Names that the situation fills; each may be missing in a given message.
pub const SITUATION: [&str; 13] = [
    "customer_name",
    "queue_position",
    "wait_minutes",
    "next_opening",
    "cause",
    "effect",
    "order_id",
    "tracking_no",
    "carrier",
    "ship_time",
    "tier",
    "expected_end",
    "menu",
];

/// Names that an incident always fills.
pub const INCIDENT: [&str; 2] = ["cause", "effect"];

/// Why a wording cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("{0}")]
    Syntax(String),
    /// A placeholder has neither value nor fallback.
    #[error("no value for {}", .0.iter().cloned().collect::<Vec<_>>().join(", "))]
    Missing(BTreeSet<String>),
}

/// Fills the placeholders of `text`.
///
/// # Errors
/// [`TemplateError::Missing`] names every placeholder without value and fallback; [`TemplateError::Syntax`] when the text
/// is no template.
pub fn render(text: &str, facts: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    if !has_markup(text) {
        return Ok(text.to_owned());
    }
    if text.contains("{%") || text.contains("{#") {
        return Err(TemplateError::Syntax("only placeholders such as {{ name }} may stand in a wording".to_owned()));
    }
    let environment = environment();
    let template = environment.template_from_str(text).map_err(|error| TemplateError::Syntax(error.to_string()))?;
    let rendered = template.render(facts);
    if rendered.as_ref().is_ok_and(|text| has_markup(text)) {
        return Err(TemplateError::Syntax("a value holds {{ }} itself; values are not templates".to_owned()));
    }
    rendered.map_err(|error| {
        let missing: BTreeSet<String> =
            template.undeclared_variables(false).into_iter().filter(|name| !facts.contains_key(name)).collect();
        if missing.is_empty() { TemplateError::Syntax(error.to_string()) } else { TemplateError::Missing(missing) }
    })
}

/// Every placeholder of `text`, with fallback or without; empty when it is no template.
#[must_use]
pub fn placeholders(text: &str) -> BTreeSet<String> {
    if !has_markup(text) {
        return BTreeSet::new();
    }
    let environment = environment();
    environment
        .template_from_str(text)
        .map(|template| template.undeclared_variables(false).into_iter().collect())
        .unwrap_or_default()
}

fn has_markup(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Nothing but the filter `default`: no loops, no functions, nothing that can run long.
fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("default", minijinja::filters::default);
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> BTreeMap<String, String> {
        BTreeMap::from([("ship_hours".to_owned(), "48".to_owned())])
    }

    #[test]
    fn a_placeholder_is_filled_and_a_fallback_stands_in() {
        assert_eq!(render("{{ ship_hours }}小时", &facts()).unwrap(), "48小时");
        assert_eq!(render("{{ customer_name | default(\"亲\") }}，您好", &facts()).unwrap(), "亲，您好");
    }

    #[test]
    fn a_missing_value_is_never_a_gap() {
        let error = render("请等{{ wait_minutes }}分钟", &facts()).unwrap_err();
        assert_eq!(error, TemplateError::Missing(BTreeSet::from(["wait_minutes".to_owned()])));
    }

    #[test]
    fn loops_and_functions_are_refused() {
        for text in ["{% for i in [1] %}{% endfor %}", "{{ range(9) }}", "{{ ship_hours", "{# note #}"] {
            assert!(render(text, &facts()).is_err(), "{text}");
        }
    }
}
