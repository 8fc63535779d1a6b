//! Which of two pictures of an object is the newer one: a watch and reads bring them by different ways.

use kube::Resource;

/// Reads that show something else than the watch before the watch is begun again.
const BEHIND: u32 = 3;

/// What both ways have shown. A read asks for the newest state, so it is believed unless the watch brought something while
/// it was under way; the watch is believed unless it brings what is older than the newest read.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Version that the watch showed last; `None` before its first answer, `Some(None)` without an object.
    watched: Option<Option<String>>,
    /// Version of the newest read.
    read: Option<String>,
    /// The watch brought something since the last read.
    overtaken: bool,
    behind: u32,
}

impl Order {
    /// The watch brings an object, or that there is none; whether it is to be believed.
    pub(crate) fn watched<K: Resource>(&mut self, object: Option<&K>) -> bool {
        let version = version(object);
        let older = match (&version, &self.read) {
            // Without an object there is no version to compare: the next read confirms it or takes it back.
            (Some(new), Some(read)) => number(new).zip(number(read)).is_some_and(|(new, read)| new < read),
            _ => false,
        };
        self.watched = Some(version);
        self.behind = 0;
        self.overtaken |= !older;
        !older
    }

    /// A read brings an object, or that there is none; whether it is to be believed.
    pub(crate) fn read<K: Resource>(&mut self, object: Option<&K>) -> bool {
        if std::mem::take(&mut self.overtaken) {
            return false;
        }
        let version = version(object);
        self.behind = if self.watched.as_ref() == Some(&version) { 0 } else { self.behind.saturating_add(1) };
        self.read = version;
        true
    }

    /// The watch was begun again: it gets its time.
    pub(crate) const fn begun_again(&mut self) {
        self.behind = 0;
    }

    /// Whether the watch has not shown for some time what reads show.
    pub(crate) const fn is_behind(&self) -> bool {
        self.behind >= BEHIND
    }
}

fn version<K: Resource>(object: Option<&K>) -> Option<String> {
    object.and_then(|object| object.meta().resource_version.clone())
}

/// Versions are numbers that grow; one that is none cannot be compared.
fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kube::api::DynamicObject;

    fn at(version: u64) -> DynamicObject {
        let meta = serde_json::json!({ "metadata": { "name": "main", "resourceVersion": version.to_string() } });
        serde_json::from_value(meta).unwrap()
    }

    #[test]
    fn an_older_picture_never_replaces_a_newer_one() {
        let mut order = Order::default();
        assert!(order.watched(Some(&at(5))));
        assert!(!order.read(Some(&at(4))), "begun before the watch brought 5");
        assert!(order.read(Some(&at(9))));
        assert!(!order.watched(Some(&at(7))), "the watch comes late");
        assert!(order.watched(Some(&at(9))));
        assert!(!order.read(Some(&at(9))));
        assert!(order.read(None::<&DynamicObject>), "deleted");
        assert!(order.watched(Some(&at(3))), "nothing to compare with");
    }

    #[test]
    fn a_watch_that_shows_nothing_new_is_behind_after_three_reads() {
        let mut order = Order::default();
        order.watched(Some(&at(5)));
        order.read(Some(&at(5)));
        assert!(order.read(Some(&at(5))) && !order.is_behind());
        order.read(Some(&at(6)));
        assert!(!order.is_behind());
        order.read(Some(&at(6)));
        order.read(Some(&at(6)));
        assert!(order.is_behind());
        order.begun_again();
        assert!(!order.is_behind());
    }
}
