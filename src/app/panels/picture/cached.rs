//! A value computed from a key, and recomputed only when the key changes.

use std::sync::Arc;

/// The last key and its value. Holding the key prevents another one from reusing its address.
pub struct Cached<K, V>(Option<(Arc<K>, V)>);

impl<K, V> Default for Cached<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K, V: Clone> Cached<K, V> {
    /// The value of `make` for `key`, cached.
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
    fn a_value_is_made_once_per_key() {
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
