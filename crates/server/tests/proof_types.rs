//! What must not compile: every way around the order ruling, record, permit, act.
//! Each file of `compile_fail` tries one; beside it stands what the compiler says.

#[test]
fn the_order_cannot_be_gone_around() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
