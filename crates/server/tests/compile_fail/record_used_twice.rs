//! A record gives one permit.

use countersign::store::ledger::{Durable, Hold, Recorded, Release};
use countersign_core::about::About;

fn act(recorded: Recorded<Durable>, about: &About) {
    let _ = recorded.permit::<Release>(about);
    let _ = recorded.permit::<Hold>(about);
}

fn main() {}
