//! The real services against the simulator, from the signed webhook to the finished file. The tests are in `tests/it`;
//! this library is empty on purpose,
//! so that nothing can come to depend on it.
