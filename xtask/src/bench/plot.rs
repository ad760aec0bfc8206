//! Plots, as SVG text. Colours are in the middle, so that they can be read on white and on black.

use std::fmt::Write;

/// What a bar compares with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// Another library.
    Peer,
    /// The least that anybody could take.
    Floor,
}

/// A ratio.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) range: Option<(f64, f64)>,
    pub(super) against: Against,
}

/// A line in a plot with logarithmic axes.
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

const STYLE: &str = "<style>\
    text { font: 12px system-ui, sans-serif; fill: #7a828c; } \
    .title { font-size: 14px; font-weight: 600; } \
    .axis { stroke: #7a828c; } \
    .grid { stroke: #7a828c; stroke-opacity: .25; } \
    .ahead { fill: #3f8fd2; } .behind { fill: #d9822b; } .floor { fill: #98a1ab; } \
    .range { stroke: #7a828c; stroke-width: 1.5; } \
    .curve { fill: none; stroke-width: 1.8; } \
    </style>\n";

/// Where longer bars are cut.
const MOST: f64 = 3.0;

/// Ratios as bars: blue where we take less than a peer, orange where it wins, grey where it is no peer.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    const LEFT: f64 = 250.0;
    const WIDTH: f64 = 480.0;
    const ROW: f64 = 20.0;
    let height = 60.0 + bars.len() as f64 * ROW;
    let x = |value: f64| LEFT + value.min(MOST) / MOST * WIDTH;
    let mut svg = open(title, 820.0, height);
    for tick in 0..=6_u32 {
        let value = f64::from(tick) / 2.0;
        let class = if tick == 2 { "axis" } else { "grid" };
        line(&mut svg, class, x(value), 34.0, x(value), height - 22.0);
        text(&mut svg, "middle", x(value), height - 6.0, &format!("{value}"));
    }
    for (bar, at) in bars.iter().zip(0_u32..) {
        let y = 38.0 + f64::from(at) * ROW;
        let class = match bar.against {
            Against::Floor => "floor",
            Against::Peer if bar.value > 1.0 => "behind",
            Against::Peer => "ahead",
        };
        text(&mut svg, "end", LEFT - 8.0, y + 12.0, &bar.label);
        let width = x(bar.value) - LEFT;
        put(
            &mut svg,
            format_args!(r#"<rect class="{class}" x="{LEFT}" y="{y:.0}" width="{width:.1}" height="15"/>"#),
        );
        let mut end = x(bar.value);
        if let Some((least, most)) = bar.range {
            line(&mut svg, "range", x(least), y + 7.5, x(most), y + 7.5);
            end = end.max(x(most));
        }
        text(&mut svg, "start", end + 6.0, y + 12.0, &format!("{:.2}", bar.value));
    }
    svg + "</svg>\n"
}

/// Nanoseconds by how many others there are, both logarithmic; the names beside the ends.
pub(super) fn curves(title: &str, curves: &[Curve]) -> String {
    const COLORS: [&str; 6] = ["#3f8fd2", "#d9822b", "#4aa564", "#b065c9", "#c9504f", "#8a9a2f"];
    const LEFT: f64 = 70.0;
    const WIDTH: f64 = 430.0;
    const TOP: f64 = 36.0;
    const HEIGHT: f64 = 380.0;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let times = points().map(|point| point.1);
    let least = times.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let most = times.fold(1.0, f64::max).log10().ceil();
    let x = |size: f64| LEFT + (size.log10() - 1.0) / 4.0 * WIDTH;
    let y = |time: f64| TOP + (most - time.log10()) / (most - least).max(1.0) * HEIGHT;
    let mut svg = open(title, 860.0, TOP + HEIGHT + 40.0);
    for power in 1..=5 {
        let size = 10_f64.powi(power);
        line(&mut svg, "grid", x(size), TOP, x(size), TOP + HEIGHT);
        text(&mut svg, "middle", x(size), TOP + HEIGHT + 18.0, &format!("{size}"));
    }
    let mut power = least;
    while power <= most {
        let time = 10_f64.powf(power);
        line(&mut svg, "grid", LEFT, y(time), LEFT + WIDTH, y(time));
        text(&mut svg, "end", LEFT - 6.0, y(time) + 4.0, &format!("{time} ns"));
        power += 1.0;
    }
    let mut ends: Vec<(f64, &Curve, &str)> = Vec::new();
    for (curve, color) in curves.iter().zip(COLORS.iter().cycle()) {
        let path: Vec<String> =
            curve.points.iter().map(|(size, time)| format!("{:.1},{:.1}", x(*size), y(*time))).collect();
        put(
            &mut svg,
            format_args!(r#"<polyline class="curve" stroke="{color}" points="{}"/>"#, path.join(" ")),
        );
        ends.extend(curve.points.last().map(|end| (y(end.1), curve, *color)));
    }
    // Names that would cover each other stand lower.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = TOP - 10.0;
    for (at, curve, color) in ends {
        let y = at.max(free);
        free = y + 15.0;
        put(
            &mut svg,
            format_args!(
                r#"<text x="{:.1}" y="{:.1}" style="fill: {color}">{}</text>"#,
                LEFT + WIDTH + 10.0,
                y + 4.0,
                escape(&curve.label)
            ),
        );
    }
    svg + "</svg>\n"
}

fn open(title: &str, width: f64, height: f64) -> String {
    let title = escape(title);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0}" role="img" aria-label="{title}">"#
    );
    svg.push('\n');
    svg += STYLE;
    put(&mut svg, format_args!(r#"<text class="title" x="10" y="20">{title}</text>"#));
    svg
}

fn put(svg: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(svg, "{what}").expect("a string takes everything");
}

fn line(svg: &mut String, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
    put(svg, format_args!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
}

fn text(svg: &mut String, anchor: &str, x: f64, y: f64, text: &str) {
    let text = escape(text);
    put(svg, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64, against: Against) -> Bar {
        Bar { label: "a < b".to_owned(), value, range: Some((0.1, 9.0)), against }
    }

    #[test]
    fn who_wins_is_seen() {
        let svg = bars("t", &[bar(0.5, Against::Peer), bar(1.2, Against::Peer), bar(1.2, Against::Floor)]);
        let classes: Vec<_> = svg.lines().filter_map(|line| line.strip_prefix("<rect class=\"")).collect();
        assert!(
            classes[0].starts_with("ahead")
                && classes[1].starts_with("behind")
                && classes[2].starts_with("floor")
        );
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn more_time_is_higher() {
        let curve = Curve { label: "c".to_owned(), points: vec![(10.0, 100.0), (1e5, 1000.0)] };
        assert!(curves("t", &[curve]).contains(r#"points="70.0,416.0 500.0,36.0""#));
    }
}
