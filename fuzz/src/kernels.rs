//! Stands in for the kernels, of which configurations only name the activations.

/// The activations of an MLP.
pub enum Activation {
    /// The exact GELU.
    Gelu,
    /// Its approximation by a sigmoid.
    QuickGelu,
}
