//! Is it who it says? Each check is an [`Inquiry`](crate::dns::Inquiry).

pub mod spf;
