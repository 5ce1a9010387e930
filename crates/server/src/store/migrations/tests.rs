//! The numbers of the migrations.

use super::*;

#[test]
fn numbers_rise_without_a_gap() {
    let numbers: Vec<i64> = STEPS.iter().map(|step| step.0).collect();
    assert_eq!(numbers, (1..=newest()).collect::<Vec<_>>());
}
