//! Numbered releases.
mod age;
