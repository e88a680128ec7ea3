//! One plot: axes with round ticks, series with error bars, bars per category, or a distribution.
//!
//! It knows nothing of rows; [`super::plots`] decides what is plotted.

use super::compare::short;
use super::svg::Svg;

const WIDTH: f64 = 760.0;
/// The drawing area, in pixels.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 736.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 344.0;
/// A line of the legend.
const LEGEND: f64 = 20.0;
/// From series to series at one x.
const DODGE: f64 = 3.0;

/// A mean with its uncertainty.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where on the x axis.
    pub x: f64,
    /// The mean.
    pub y: f64,
    /// Half the width of its interval, where there is one.
    pub half: Option<f64>,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Named lines over numbers.
    Lines(Vec<(String, Vec<Point>)>),
    /// A bar per name, with the single runs as dots; [`Point::x`] says nothing.
    Bars(Vec<(String, Point, Vec<f64>)>),
    /// Named distributions: sorted figures, and the share of figures at most as large.
    Steps(Vec<(String, Vec<(f64, f64)>)>),
}

/// A plot with its texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The file's name without its ending; unique in a folder.
    pub file: String,
    /// Its heading.
    pub title: String,
    /// One or two sentences for whoever cannot see it.
    pub description: String,
    /// The x axis's name with its unit.
    pub x: String,
    /// The y axis's name with its unit.
    pub y: String,
    /// What is drawn.
    pub shape: Shape,
}

/// From figures to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// From tick to tick, where the ends were moved to ticks.
    step: Option<f64>,
    from: f64,
    to: f64,
}

impl Scale {
    /// Holds all of `figures`. Logarithmic, if that is allowed, when they span more than two decades.
    fn new(figures: impl Iterator<Item = f64>, may_log: bool, (from, to): (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for figure in figures.filter(|f| f.is_finite()) {
            (low, high) = (low.min(figure), high.max(figure));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let log = may_log && low > 0.0 && high / low > 100.0;
        if low == high {
            let half = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
            (low, high) = (low - half, high + half);
        }
        Self {
            low,
            high,
            log,
            step: None,
            from,
            to,
        }
    }

    /// Moves the ends out to the next ticks.
    fn rounded(mut self) -> Self {
        let ticks = self.ticks();
        if let (false, [first, second, ..]) = (self.log, &ticks[..]) {
            let step = second - first;
            self.low = libm::floor(self.low / step + 1e-9) * step;
            self.high = libm::ceil(self.high / step - 1e-9) * step;
            self.step = Some(step);
        }
        self
    }

    fn at(&self, figure: f64) -> f64 {
        let place = |f: f64| if self.log { libm::log10(f) } else { f };
        let share = (place(figure) - place(self.low)) / (place(self.high) - place(self.low));
        self.from + share * (self.to - self.from)
    }

    /// Round figures between the ends.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = libm::floor(libm::log10(self.low)) as i32
                ..=libm::ceil(libm::log10(self.high)) as i32;
            let within = |t: &f64| *t >= self.low * 0.999 && *t <= self.high * 1.001;
            let of = |steps: &'static [f64]| {
                decades
                    .clone()
                    .flat_map(|d| steps.iter().map(move |s| s * libm::pow(10.0, f64::from(d))))
                    .filter(within)
                    .collect::<Vec<_>>()
            };
            // Below four decades the decades alone are too few.
            let fine = of(&[1.0, 2.0, 5.0]);
            return if fine.len() <= 10 { fine } else { of(&[1.0]) };
        }
        let step = self.step.unwrap_or_else(|| self.round_step());
        let first = libm::ceil(self.low / step - 1e-9);
        let last = libm::floor(self.high / step + 1e-9);
        let count = (last - first).clamp(0.0, 20.0) as u32;
        (0..=count).map(|i| (first + f64::from(i)) * step).collect()
    }

    fn round_step(&self) -> f64 {
        let rough = (self.high - self.low) / 5.0;
        let decade = libm::pow(10.0, libm::floor(libm::log10(rough)));
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|s| s * decade);
        let step = steps.into_iter().find(|step| *step >= rough * 0.999);
        step.unwrap_or(rough)
    }
}

impl Plot {
    /// As a part of a page.
    #[must_use]
    pub fn inline(&self) -> String {
        self.draw()
            .finish(&self.file, &self.title, &self.description, false)
    }

    /// As a file of its own.
    #[must_use]
    pub fn standalone(&self) -> String {
        self.draw()
            .finish(&self.file, &self.title, &self.description, true)
    }

    fn draw(&self) -> Svg {
        match &self.shape {
            Shape::Lines(series) => self.lines(series),
            Shape::Bars(bars) => self.bars(bars),
            Shape::Steps(series) => self.steps(series),
        }
    }

    fn lines(&self, series: &[(String, Vec<Point>)]) -> Svg {
        let points = || series.iter().flat_map(|(_, points)| points);
        let x = Scale::new(points().map(|p| p.x), true, (LEFT + 16.0, RIGHT - 16.0));
        let y = y_scale(points().flat_map(|p| ends(p, p.half)));
        let names: Vec<_> = series.iter().map(|(name, _)| name.as_str()).collect();
        let mut svg = self.frame(&y, &names, BOTTOM + 50.0);
        self.x_axis(&mut svg, &x);
        for (at, (_, points)) in series.iter().enumerate() {
            // A few pixels aside, or the error bars of one x would hide each other.
            let aside = DODGE * (at as f64 - 0.5 * (series.len() - 1) as f64);
            let place = |p: &Point| (x.at(p.x) + aside, y.at(p.y));
            let places: Vec<_> = points.iter().map(place).collect();
            if places.len() > 1 {
                svg.path(at, &places);
            }
            for (point, place) in points.iter().zip(places) {
                if let Some(half) = point.half {
                    svg.error_bar(at, place.0, y.at(point.y - half), y.at(point.y + half));
                }
                svg.marker(at, place);
            }
        }
        svg
    }

    fn steps(&self, series: &[(String, Vec<(f64, f64)>)]) -> Svg {
        let figures = series
            .iter()
            .flat_map(|(_, steps)| steps.iter().map(|s| s.0));
        let x = Scale::new(figures, true, (LEFT + 16.0, RIGHT - 16.0));
        let y = Scale::new([0.0, 1.0].into_iter(), false, (BOTTOM, TOP));
        let names: Vec<_> = series.iter().map(|(name, _)| name.as_str()).collect();
        let mut svg = self.frame(&y, &names, BOTTOM + 50.0);
        self.x_axis(&mut svg, &x);
        for (at, (_, steps)) in series.iter().enumerate() {
            let mut places = Vec::new();
            let mut below = 0.0;
            for (figure, share) in steps {
                places.push((x.at(*figure), y.at(below)));
                places.push((x.at(*figure), y.at(*share)));
                below = *share;
            }
            svg.path(at, &places);
            // A marker where the line is steepest for most: the median tells series apart in print.
            let median = steps.iter().find(|s| s.1 >= 0.5);
            if let Some((figure, _)) = median {
                svg.marker(at, (x.at(*figure), y.at(0.5)));
            }
        }
        svg
    }

    fn bars(&self, bars: &[(String, Point, Vec<f64>)]) -> Svg {
        let figures = bars.iter().flat_map(|(_, point, runs)| {
            ends(point, point.half)
                .chain(runs.iter().copied())
                .chain([0.0])
        });
        let y = Scale::new(figures, false, (BOTTOM, TOP)).rounded();
        // Long names lean, and get the room that they need: about 6 pixels a letter, at an angle of 35 degrees.
        let room = (RIGHT - LEFT) / bars.len().max(1) as f64;
        let longest = bars.iter().map(|b| b.0.chars().count()).max().unwrap_or(0) as f64;
        let leaning = longest * 7.0 > room;
        let under = if leaning {
            (longest * 4.2).min(220.0)
        } else {
            16.0
        };
        let mut svg = self.frame(&y, &[], BOTTOM + under + 36.0);
        for (at, (name, point, runs)) in bars.iter().enumerate() {
            let middle = LEFT + room * (at as f64 + 0.5);
            let width = (room * 0.6).min(60.0);
            let (top, foot) = (y.at(point.y.max(0.0)), y.at(point.y.min(0.0)));
            if point.y.is_finite() {
                svg.bar(0, middle - width / 2.0, top, width, foot - top);
            }
            for (run, figure) in runs.iter().enumerate() {
                // Beside each other, so that equal figures do not hide one another.
                let share = (run as f64 + 0.5) / runs.len() as f64 - 0.5;
                svg.dot(1, (middle + share * width * 0.7, y.at(*figure)));
            }
            if let Some(half) = point.half {
                svg.error_bar(5, middle, y.at(point.y - half), y.at(point.y + half));
            }
            if leaning {
                svg.turned((middle + 4.0, BOTTOM + 16.0), "end", -35, name);
            } else {
                svg.text("", (middle, BOTTOM + 18.0), "middle", name);
            }
        }
        svg.line("axis", (LEFT, y.at(0.0)), (RIGHT, y.at(0.0)));
        svg.text(
            "",
            ((LEFT + RIGHT) / 2.0, BOTTOM + under + 24.0),
            "middle",
            &self.x,
        );
        svg
    }

    /// Heading, y axis and legend; `below` is where the legend begins.
    fn frame(&self, y: &Scale, names: &[&str], below: f64) -> Svg {
        let legend = if names.len() > 1 {
            names.len() as f64 * LEGEND
        } else {
            0.0
        };
        let mut svg = Svg::new(WIDTH, below + legend + 8.0);
        svg.text("name", (LEFT, 24.0), "start", &self.title);
        for tick in y.ticks() {
            let at = y.at(tick);
            svg.line("grid", (LEFT, at), (RIGHT, at));
            svg.text("", (LEFT - 8.0, at + 4.5), "end", &short(tick));
        }
        svg.line("axis", (LEFT, TOP), (LEFT, BOTTOM));
        svg.turned((20.0, (TOP + BOTTOM) / 2.0), "middle", -90, &self.y);
        if names.len() > 1 {
            for (at, name) in names.iter().enumerate() {
                let middle = below + 6.0 + at as f64 * LEGEND;
                svg.path(at, &[(LEFT, middle), (LEFT + 44.0, middle)]);
                svg.marker(at, (LEFT + 22.0, middle));
                svg.text("", (LEFT + 54.0, middle + 4.5), "start", name);
            }
        }
        svg
    }

    fn x_axis(&self, svg: &mut Svg, x: &Scale) {
        svg.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
        for tick in x.ticks() {
            let at = x.at(tick);
            svg.line("axis", (at, BOTTOM), (at, BOTTOM + 5.0));
            svg.text("", (at, BOTTOM + 20.0), "middle", &short(tick));
        }
        let name = match x.log {
            true => format!("{}, logarithmic", self.x),
            false => self.x.clone(),
        };
        svg.text("", ((LEFT + RIGHT) / 2.0, BOTTOM + 40.0), "middle", &name);
    }
}

/// The ends of a point's error bar.
fn ends(point: &Point, half: Option<f64>) -> impl Iterator<Item = f64> {
    let half = half.unwrap_or(0.0);
    [point.y - half, point.y + half].into_iter()
}

/// From 0, unless that would squeeze everything into the upper third.
fn y_scale(figures: impl Iterator<Item = f64>) -> Scale {
    let mut scale = Scale::new(figures, false, (BOTTOM, TOP));
    if scale.low > 0.0 && scale.low < 0.67 * scale.high {
        scale.low = 0.0;
    }
    scale.rounded()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(figures: &[f64]) -> Scale {
        Scale::new(figures.iter().copied(), true, (0.0, 100.0))
    }

    #[test]
    fn ticks_are_round_and_axes_logarithmic_beyond_two_decades() {
        assert_eq!(scale(&[0.0, 10.0]).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(
            scale(&[0.0, 0.011]).ticks(),
            [0.0, 0.0025, 0.005, 0.0075, 0.01]
        );
        let hundred = scale(&[10.0, 1000.0]);
        assert!(!hundred.log, "exactly two decades");
        let wide = scale(&[10.0, 100_000.0]);
        assert!(wide.log);
        assert_eq!(wide.ticks(), [10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert!((wide.at(1000.0) - 50.0).abs() < 1e-9);
        assert!(!scale(&[0.0, 1e6]).log, "0 has no logarithm");
        assert!(
            scale(&[5.0, 5.0]).ticks().len() > 2,
            "a single figure has room"
        );
        assert!(!scale(&[f64::NAN]).ticks().is_empty());
    }
}
