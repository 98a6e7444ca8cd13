//! Every check, on the corpus in `fuzz/corpus`.

use std::fs;
use std::path::Path;

use openline_fuzz_checks::CHECKS;

#[test]
fn the_corpus_breaks_no_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (name, check) in CHECKS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(name)).expect("each check has a corpus") {
            let path = entry.expect("readable").path();
            check(&fs::read(&path).expect("readable"));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has an empty corpus");
    }
}
