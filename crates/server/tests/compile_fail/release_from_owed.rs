//! What is only owed to the ledger lets nothing pass and keeps nothing.

use countersign::store::ledger::{Hold, Owed, Recorded, Release};
use countersign_core::about::About;

fn release(recorded: Recorded<Owed>, about: &About) {
    let _ = recorded.permit::<Release>(about);
}

fn hold(recorded: Recorded<Owed>, about: &About) {
    let _ = recorded.permit::<Hold>(about);
}

fn main() {}
