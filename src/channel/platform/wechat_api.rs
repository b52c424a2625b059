//! What the APIs of WeChat and WeCom have in common: an error code in an answer of status 200, and access tokens.

use jiff::SignedDuration;
use serde_json::Value;

use crate::channel::call::{CallAnswer, Failure, Granted};
use crate::channel::hook::Moment;
use crate::channel::settings::ApiUrl;

/// How long a token is good where the answer does not say (both platforms: 7200 s).
const TOKEN_SECONDS: i64 = 7_200;

/// The body of an answer whose `errcode` is 0 or missing. `own` says what the platform's own codes mean.
///
/// # Errors
/// [`Failure`] by the status, else by the code. Codes that both platforms have, as listed by wechatpy `constants.py`
/// (`WeChatErrorCode`) and <https://developer.work.weixin.qq.com/document/path/90313>: -1 busy; 40001, 40014, 41001 and
/// 42001 the token; 45009, 45011 and 45033 too many calls; 40164 and 60020 the caller's address is not on the list.
pub(super) fn read(answer: &CallAnswer, own: impl Fn(i64) -> Option<Failure>) -> Result<Value, Failure> {
    answer.by_status()?;
    let body = answer.json();
    if !body.is_object() {
        return Err(Failure::Retry { after: None, why: "the answer is no JSON".to_owned() });
    }
    match body["errcode"].as_i64().unwrap_or_default() {
        0 => Ok(body),
        code => Err(own(code).unwrap_or_else(|| common(code))),
    }
}

fn common(code: i64) -> Failure {
    let why = |what: &str| format!("errcode {code}: {what}");
    let quota = |seconds| Some(SignedDuration::from_secs(seconds));
    match code {
        -1 => Failure::Retry { after: None, why: why("the platform is busy") },
        40001 | 40014 | 41001 | 42001 => Failure::Access { why: why("the access token or the secret is not taken") },
        45009 => Failure::Quota { after: quota(3_600), why: why("too many calls") },
        45011 | 45033 => Failure::Quota { after: quota(60), why: why("too many calls at once") },
        40164 | 60020 => Failure::Retry {
            after: None,
            why: why("put this server's public address on the platform's list of trusted addresses"),
        },
        _ => Failure::GiveUp { why: why("see the platform's list of codes") },
    }
}

/// The access token in an answer: `{"access_token", "expires_in"}`.
///
/// # Errors
/// [`Failure`] when there is none.
pub(super) fn granted(answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure> {
    let body = read(answer, |_| None)?;
    let token = body["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Failure::Retry { after: None, why: "an answer without a token".to_owned() })?;
    let seconds = body["expires_in"].as_i64().unwrap_or(TOKEN_SECONDS).clamp(0, 86_400);
    let until = moment.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(moment.now);
    Ok(Granted { token: token.to_owned(), refresh: None, until })
}

/// An address with a query, its values encoded.
pub(super) fn address(base: &ApiUrl, path: &str, query: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{base}{path}?{query}")
}
