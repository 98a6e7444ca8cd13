//! Median and quartiles: what a handful of rounds on a noisy machine can honestly say.

/// The middle of a sample and the range that holds its middle half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Spread {
    /// `None` for an empty sample.
    pub(crate) fn of(sample: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sample: Vec<f64> = sample.into_iter().collect();
        sample.sort_by(f64::total_cmp);
        Some(Spread {
            median: quantile(&sample, 0.5)?,
            lower: quantile(&sample, 0.25)?,
            upper: quantile(&sample, 0.75)?,
        })
    }
}

/// Interpolates between the two nearest values of a sorted sample (Hyndman and Fan's type 7, the default of R and NumPy).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_even_and_single_samples() {
        for (sample, lower, median, upper) in [
            (&[5.0, 1.0, 3.0, 2.0, 4.0][..], 2.0, 3.0, 4.0),
            (&[1.0, 2.0, 3.0, 4.0], 1.75, 2.5, 3.25),
            (&[7.0, 9.0], 7.5, 8.0, 8.5),
            (&[7.0], 7.0, 7.0, 7.0),
        ] {
            assert_eq!(Spread::of(sample.iter().copied()), Some(Spread { median, lower, upper }));
        }
    }

    #[test]
    fn one_wild_round_does_not_move_the_median() {
        assert_eq!(Spread::of([1.0, 1.0, 1.0, 1.0, 1000.0]), Some(Spread { median: 1.0, lower: 1.0, upper: 1.0 }));
    }

    #[test]
    fn nothing_was_measured() {
        assert_eq!(Spread::of([]), None);
    }
}
