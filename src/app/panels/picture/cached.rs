//! Something made from something else, made again only when that is another.

use std::sync::Arc;

/// What was last made, and of what. It keeps the latter, so that no other can take its address.
pub struct Cached<K, V>(Option<(Arc<K>, V)>);

impl<K, V> Default for Cached<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K, V: Clone> Cached<K, V> {
    /// What `make` makes of `key`.
    pub fn get(&mut self, key: &Arc<K>, make: impl FnOnce(&K) -> V) -> V {
        match &self.0 {
            Some((of, made)) if Arc::ptr_eq(of, key) => made.clone(),
            _ => {
                let made = make(key);
                self.0 = Some((key.clone(), made.clone()));
                made
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_made_once_of_each() {
        let (first, second) = (Arc::new(1), Arc::new(1));
        let (mut cached, mut made) = (Cached::default(), 0);
        for key in [&first, &first, &second, &second, &first] {
            let found = cached.get(key, |_| {
                made += 1;
                made
            });
            assert_eq!(found, made);
        }
        assert_eq!(made, 3);
    }
}
