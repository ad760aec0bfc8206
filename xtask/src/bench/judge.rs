//! Compares what was measured with the targets.

use super::measure::{Curve, Line, Measured, Runs};
use super::program::{BARE, FLOOR, PROCESSES};
use super::rows::{Target, Workload};
use super::statistics::{median, range};
use crate::lua::Version;

/// A target, and what was measured for it.
pub(super) struct Verdict {
    pub(super) target: String,
    pub(super) limit: f64,
    /// `None` if it could not be measured.
    pub(super) value: Option<f64>,
    /// The smallest and the largest value of a round.
    pub(super) range: Option<(f64, f64)>,
    /// What the value would be if we did nothing but the system calls.
    pub(super) floor: Option<f64>,
}

/// How the titles of the curves begin that have nothing of the library.
const BARE_COROUTINE: &str = "bare coroutine";

/// How the cost of bare coroutines grows that are resumed in the same order, which its title ends with: what the caches make of it.
fn caches(curves: &[Curve], curve: &Curve) -> Option<f64> {
    let (_, order) = curve.title.rsplit_once(", ")?;
    curves.iter().find(|bare| bare.title == format!("{BARE_COROUTINE}, {order}"))?.growth()
}

/// The verdicts on the targets of a workload.
pub(super) fn judge(workload: &Workload, version: Version, measured: &Measured) -> Vec<Verdict> {
    workload.targets.iter().flat_map(|target| target.judge(version, measured)).collect()
}

impl Measured {
    /// What the programs gave; ours are the first.
    pub(super) fn runs(&self) -> &[Runs] {
        match self {
            Self::Race(runs) | Self::Memory(runs) | Self::Split(runs) | Self::Startup(runs) => runs,
            Self::Pair(_) | Self::Instructions(_) | Self::Growth(_) => &[],
        }
    }

    fn of(&self, who: &str) -> Option<&Runs> {
        self.runs().iter().find(|runs| runs.who == who)
    }

    fn line(&self, title: &str) -> Option<&Line> {
        let Self::Pair(Ok(lines)) = self else { return None };
        lines.iter().find(|line| line.title == title)
    }

    /// Our ratio to a program, in that column.
    fn ratio(&self, who: &str, column: usize) -> (Option<f64>, Option<(f64, f64)>) {
        let ours = self.runs().first();
        ours.zip(self.of(who)).map(|(ours, theirs)| ours.ratio(theirs, column)).unwrap_or_default()
    }
}

impl Target {
    fn judge(&self, version: Version, measured: &Measured) -> Vec<Verdict> {
        match (self, measured) {
            (Self::Growth { limit, bare }, Measured::Growth(Ok(curves))) => curves
                .iter()
                .filter(|curve| !curve.title.starts_with(BARE_COROUTINE))
                .map(|curve| Verdict {
                    target: curve.title.clone(),
                    limit: caches(curves, curve).map_or(*limit, |growth| limit.max(bare * growth)),
                    value: curve.growth(),
                    range: None,
                    floor: None,
                })
                .collect(),
            _ => vec![self.one(version, measured)],
        }
    }

    fn one(&self, version: Version, measured: &Measured) -> Verdict {
        let new = |target: String, limit| Verdict { target, limit, value: None, range: None, floor: None };
        match *self {
            Self::Pair { line: title, limit, old } => {
                let limit = if matches!(version, Version::Lua51 | Version::Jit) { old } else { limit };
                let line = measured.line(title);
                Verdict {
                    value: line.and_then(|line| median(&line.ratios)),
                    range: line.and_then(|line| range(&line.ratios)),
                    ..new(format!("{title} to the bare pair"), limit)
                }
            }
            Self::Time { peer, limit } => {
                let (value, range) = measured.ratio(peer, 1);
                let theirs = measured.of(peer);
                let floor =
                    measured.of(FLOOR).zip(theirs).and_then(|(floor, theirs)| floor.ratio(theirs, 1).0);
                Verdict { value, range, floor, ..new(format!("processor time, to {peer}"), limit) }
            }
            Self::Calls { limit } => {
                let value = measured.runs().first().and_then(|ours| ours.calls);
                Verdict { value, ..new("system calls each".to_owned(), limit) }
            }
            Self::Each { limit } => {
                let ours = measured.runs().first();
                let value = ours.and_then(|ours| Some(ours.median(0)? / ours.objects));
                Verdict { value, ..new("KB each".to_owned(), limit) }
            }
            Self::Memory { peer, limit } => {
                let (value, range) = measured.ratio(peer, 0);
                Verdict { value, range, ..new(format!("memory, to {peer}"), limit) }
            }
            Self::Split { limit } => {
                let (value, range) = measured.ratio(PROCESSES, 2);
                Verdict { value, range, ..new("two to one, to that of processes".to_owned(), limit) }
            }
            Self::Twice { limit } => {
                let value = measured.runs().first().and_then(|ours| ours.median(2));
                Verdict { value, ..new("two to one".to_owned(), limit) }
            }
            Self::Growth { limit, .. } => new("growth".to_owned(), limit),
            Self::Startup { limit } => {
                let ours = measured.runs().first().and_then(|ours| ours.median(0));
                let bare = measured.of(BARE).and_then(|bare| bare.median(0));
                let value = ours.zip(bare).map(|(ours, bare)| ours - bare);
                Verdict { value, ..new("milliseconds more than bare Lua".to_owned(), limit) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_compared_with_that_of_bare_coroutines() {
        let curve =
            |title: &str, last| Curve { title: title.to_owned(), points: vec![(10.0, 100.0), (1e5, last)] };
        let curves = vec![
            curve("bare coroutine, any", 700.0),
            curve("bare coroutine, the last", 100.0),
            curve("event, cancelled, any", 800.0),
            curve("event, cancelled, the last", 600.0),
            curve("event, all await it", 600.0),
        ];
        let target = Target::Growth { limit: 5.0, bare: 1.25 };
        let verdicts = target.judge(Version::Lua54, &Measured::Growth(Ok(curves)));
        let limits: Vec<f64> = verdicts.iter().map(|verdict| verdict.limit).collect();
        assert_eq!(limits, [8.75, 5.0, 5.0]);
        assert_eq!(verdicts[0].value, Some(8.0));
    }
}
