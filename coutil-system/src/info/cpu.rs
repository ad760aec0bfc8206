//! The processors of the machine.

use crate::error::Result;
use std::fs;

/// A processor. Times are in milliseconds since the machine was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cpu {
    /// Its model, `unknown` if the system does not tell.
    pub model: String,
    /// Its clock in MHz, 0 if the system does not tell.
    pub clock: u64,
    /// Time in programs,
    pub user: u64,
    /// in programs of low priority,
    pub nice: u64,
    /// in the system,
    pub system: u64,
    /// in nothing,
    pub idle: u64,
    /// and in serving devices.
    pub interrupt: u64,
}

/// What `/proc/cpuinfo` has of a processor.
#[derive(Clone, Debug, Default, PartialEq)]
struct Details {
    number: u64,
    model: Option<String>,
    clock: Option<f64>,
}

/// Reads `/proc/cpuinfo`: a block of lines for each processor.
fn details(text: &str) -> Vec<Details> {
    let mut all: Vec<Details> = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match (name.trim(), all.last_mut()) {
            ("processor", _) => {
                if let Ok(number) = value.parse() {
                    all.push(Details { number, ..Details::default() });
                }
            }
            ("model name", Some(last)) => last.model = Some(value.to_owned()),
            ("cpu MHz", Some(last)) => last.clock = value.parse().ok(),
            _ => {}
        }
    }
    all
}

/// Reads the lines of processors in `/proc/stat`: the number and the times of each, in hundredths of a second.
fn times(text: &str) -> impl Iterator<Item = (u64, [u64; 6])> {
    text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("cpu")?.split(' ');
        let number = words.next()?.parse().ok()?;
        let mut times = [0; 6];
        for time in &mut times {
            *time = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        }
        Some((number, times))
    })
}

/// All processors that run, in their order: proc(5).
///
/// # Errors
///
/// Those of reading `/proc/stat`.
pub fn cpus() -> Result<Vec<Cpu>> {
    let stat = fs::read_to_string("/proc/stat")?;
    let info = fs::read("/proc/cpuinfo").unwrap_or_default();
    let details = details(&String::from_utf8_lossy(&info));
    Ok(times(&stat)
        .map(|(number, [user, nice, system, idle, _, interrupt])| {
            let details = details.iter().find(|details| details.number == number);
            let frequency = format!("/sys/devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq");
            let frequency =
                fs::read_to_string(frequency).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let clock = match frequency {
                Some(frequency) => frequency / 1000,
                None => details.and_then(|details| details.clock).unwrap_or(0.0) as u64,
            };
            Cpu {
                model: details.and_then(|details| details.model.clone()).unwrap_or("unknown".to_owned()),
                clock,
                user: user * 10,
                nice: nice * 10,
                system: system * 10,
                idle: idle * 10,
                interrupt: interrupt * 10,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel() {
        // [30 C12]
        let text = "cpu  9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8\ncpu12 10 20 30 40 50 60 70\nintr 5 0\n";
        let times: Vec<_> = times(text).collect();
        assert_eq!(times, [(0, [1, 2, 3, 4, 5, 6]), (12, [10, 20, 30, 40, 50, 60])]);
        let text =
            "processor\t: 0\nmodel name\t: A: one\ncpu MHz\t\t: 2500.5\n\nprocessor\t: 12\nmodel name\t: B\n";
        let details = details(text);
        assert_eq!(details[0], Details { number: 0, model: Some("A: one".to_owned()), clock: Some(2500.5) });
        assert_eq!(details[1], Details { number: 12, model: Some("B".to_owned()), clock: None });
    }
}
