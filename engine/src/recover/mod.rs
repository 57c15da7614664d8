//! Looking at a volume's image without trusting it.
//!
//! Not here: reading superblocks and nodes (meta).
