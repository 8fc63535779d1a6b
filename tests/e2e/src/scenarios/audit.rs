//! What the operator writes, as the API server's audit log has it.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::environment::{Environment, SYSTEM};
use crate::kubectl::text;

/// The audit log from some moment on.
pub struct Audit {
    log: BufReader<File>,
    line: String,
}

/// One write by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Id of the request, the same in all its stages.
    pub id: String,
    /// HTTP status of the answer; `None` while the request has only arrived.
    pub answer: Option<u64>,
    /// When the API server received it.
    pub at: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Plural, with the subresource: `tradingpolicies/status`.
    pub resource: String,
    /// Path and query of the request.
    pub uri: String,
}

impl Audit {
    /// Opens the log at its present end.
    ///
    /// # Errors
    /// When there is no audit log.
    pub fn from_now(environment: &Environment) -> Result<Self> {
        let path = environment.directory().join("audit.log");
        let mut log = File::open(&path).with_context(|| format!("no audit log at {}", path.display()))?;
        log.seek(SeekFrom::End(0))?;
        Ok(Self { log: BufReader::new(log), line: String::new() })
    }

    /// The operator's writes of which the log tells anew, each once when it arrived and once when it was answered.
    ///
    /// # Errors
    /// When the log cannot be read or has a line that is no JSON.
    pub fn stages(&mut self) -> Result<Vec<Write>> {
        let mut found = Vec::new();
        // A line without its end is still being written: the rest of it is added by a later call.
        while self.log.read_line(&mut self.line)? > 0 && self.line.ends_with('\n') {
            found.extend(write(&self.line)?);
            self.line.clear();
        }
        Ok(found)
    }

    /// The operator's writes that were answered since the last call.
    ///
    /// # Errors
    /// Those of [`Audit::stages`].
    pub fn answered(&mut self) -> Result<Vec<Write>> {
        Ok(self.stages()?.into_iter().filter(|write| write.answer.is_some()).collect())
    }
}

impl Write {
    /// Whether the API server did it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.answer.is_some_and(|code| (200..300).contains(&code))
    }

    /// Whether it only keeps the operator's lease: those of accounts are created and deleted, never updated.
    #[must_use]
    pub fn is_renewal(&self) -> bool {
        self.resource == "leases" && self.verb == "update"
    }

    /// What was done to which kind of object.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("{} {}", self.verb, self.resource)
    }
}

/// The write that a line tells of, if it is one of the operator's.
fn write(line: &str) -> Result<Option<Write>> {
    let event: Value = serde_json::from_str(line).with_context(|| format!("a line of the audit log is no JSON: {line}"))?;
    let verb = text(&event, "/verb");
    let by_operator = text(&event, "/user/username") == format!("system:serviceaccount:{SYSTEM}:tradewind-operator");
    let writes = ["create", "update", "patch", "delete", "deletecollection"].contains(&verb);
    let stage = text(&event, "/stage");
    if !by_operator || !writes || !["RequestReceived", "ResponseComplete"].contains(&stage) {
        return Ok(None);
    }
    let code = event.pointer("/responseStatus/code").and_then(Value::as_u64);
    let (plural, part) = (text(&event, "/objectRef/resource"), text(&event, "/objectRef/subresource"));
    Ok(Some(Write {
        id: text(&event, "/auditID").to_owned(),
        answer: if stage == "ResponseComplete" { Some(code.context("an answer without a status")?) } else { None },
        at: text(&event, "/requestReceivedTimestamp").to_owned(),
        verb: verb.to_owned(),
        resource: if part.is_empty() { plural.to_owned() } else { format!("{plural}/{part}") },
        uri: text(&event, "/requestURI").to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_of_the_operator_arrive_and_are_answered() {
        let line = |user: &str, verb: &str, stage: &str| {
            format!(
                r#"{{"stage":"{stage}","auditID":"i","verb":"{verb}","user":{{"username":"{user}"}},"requestURI":"/x",
                "requestReceivedTimestamp":"t","objectRef":{{"resource":"tradingpolicies","subresource":"status"}},
                "responseStatus":{{"code":409}}}}"#
            )
        };
        let operator = format!("system:serviceaccount:{SYSTEM}:tradewind-operator");
        let arrived = write(&line(&operator, "patch", "RequestReceived")).unwrap().unwrap();
        assert_eq!((arrived.kind().as_str(), arrived.answer), ("patch tradingpolicies/status", None));
        let answered = write(&line(&operator, "patch", "ResponseComplete")).unwrap().unwrap();
        assert_eq!((answered.id.as_str(), answered.answer, answered.is_done()), ("i", Some(409), false));
        assert_eq!(write(&line(&operator, "get", "ResponseComplete")).unwrap(), None);
        assert_eq!(write(&line("somebody", "patch", "ResponseComplete")).unwrap(), None);
    }
}
