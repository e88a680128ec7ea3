//! Drawings as SVG text, by hand: lines, markers, texts and numbers rounded to a tenth of a pixel.
//!
//! It knows nothing of axes. Colours are classes, so that one drawing is readable on light and on dark ground; every
//! drawing carries a title and a description for screen readers. No font, script or file is referred to.

use std::fmt::Write;

/// Colours of series on light and on dark ground: told apart by colour-blind people, each with a contrast of at
/// least 3 to 1. After M. Okabe and K. Ito, Color Universal Design, 2002, with the light ones darkened.
pub const SERIES: [(&str, &str); 6] = [
    ("#0072b2", "#56b4e9"),
    ("#d04a00", "#ff9a57"),
    ("#007f5f", "#3ccb9a"),
    ("#b0417f", "#e9a0c6"),
    ("#8a6d00", "#f0e442"),
    ("#444444", "#dddddd"),
];

/// Light and dark ground, as in the page.
pub const GROUND: (&str, &str) = ("#ffffff", "#16181d");

const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// The styles that all drawings share.
#[must_use]
pub fn style() -> String {
    let mut light = String::new();
    let mut dark = format!(
        ".plot .ground{{fill:{}}}.plot text{{fill:#e8e8e8}}.plot .axis{{stroke:#b5b5b5}}.plot .grid{{stroke:#3a3d44}}",
        GROUND.1
    );
    for (at, (on_light, on_dark)) in SERIES.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(light, ".plot .s{at}{{color:{on_light}}}");
        let _ = write!(dark, ".plot .s{at}{{color:{on_dark}}}");
    }
    format!(
        ".plot{{font:13px system-ui,sans-serif}}.plot .ground{{fill:{}}}.plot text{{fill:#1a1a1a}}\
         .plot .axis{{stroke:#555}}.plot .grid{{stroke:#ddd}}.plot .name{{font-weight:600;font-size:15px}}\
         {light}@media(prefers-color-scheme:dark){{{dark}}}",
        GROUND.0
    )
}

/// Text as it may stand in HTML and XML, attributes included.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Neither HTML nor XML can say these.
            c if c.is_control() && !"\n\t".contains(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A drawing in the making.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// An empty one, in pixels.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        let body = format!("<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n");
        Self {
            width,
            height,
            body,
        }
    }

    /// A straight line of a class.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (a, b, c, d) = (px(from.0), px(from.1), px(to.0), px(to.1));
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" x1=\"{a}\" y1=\"{b}\" x2=\"{c}\" y2=\"{d}\"/>"
        );
    }

    /// A text; `anchor` is `start`, `middle` or `end`.
    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: &str, text: &str) {
        let (x, y, text) = (px(at.0), px(at.1), escape(text));
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// A text that ends at `at`, turned by `degrees` around it.
    pub fn turned(&mut self, at: (f64, f64), anchor: &str, degrees: i32, text: &str) {
        let (x, y, text) = (px(at.0), px(at.1), escape(text));
        let _ = writeln!(
            self.body,
            "<text transform=\"translate({x} {y}) rotate({degrees})\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// A series' line through points.
    pub fn path(&mut self, series: usize, points: &[(f64, f64)]) {
        let mut d = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(
                d,
                "{}{} {}",
                if at == 0 { 'M' } else { 'L' },
                px(*x),
                px(*y)
            );
        }
        let (class, dash) = (class(series), DASHES[series % DASHES.len()]);
        let _ = writeln!(
            self.body,
            "<path class=\"{class}\" d=\"{d}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>"
        );
    }

    /// A series' error bar at `x`.
    pub fn error_bar(&mut self, series: usize, x: f64, low: f64, high: f64) {
        let (left, right) = (px(x - 4.0), px(x + 4.0));
        let (x, low, high) = (px(x), px(low), px(high));
        let class = class(series);
        let _ = writeln!(
            self.body,
            "<path class=\"{class}\" d=\"M{left} {low}H{right}M{x} {low}V{high}M{left} {high}H{right}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>"
        );
    }

    /// A bar of a series.
    pub fn bar(&mut self, series: usize, left: f64, top: f64, width: f64, height: f64) {
        let class = class(series);
        let (left, top, width, height) = (px(left), px(top), px(width), px(height));
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"currentColor\" fill-opacity=\"0.35\" stroke=\"currentColor\"/>"
        );
    }

    /// A single run of a series.
    pub fn dot(&mut self, series: usize, at: (f64, f64)) {
        let (class, x, y) = (class(series), px(at.0), px(at.1));
        let _ = writeln!(
            self.body,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"currentColor\"/>"
        );
    }

    /// A series' marker, of another shape for each of the first six.
    pub fn marker(&mut self, series: usize, at: (f64, f64)) {
        let class = class(series);
        let at = format!("{} {}", px(at.0), px(at.1));
        let d = match series % SERIES.len() {
            0 => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
            1 => "m-4 -4h8v8h-8z",
            2 => "m0 -5l5 9h-10z",
            3 => "m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
            4 => "m-5 -4h10l-5 9z",
            _ => "m-2 -5h4v3h3v4h-3v3h-4v-3h-3v-4h3z",
        };
        let _ = writeln!(
            self.body,
            "<path class=\"{class}\" d=\"M{at}{d}\" fill=\"currentColor\"/>"
        );
    }

    /// The whole element; `id` must be unique in its page and plain. `namespace` is for files of their own.
    #[must_use]
    pub fn finish(&self, id: &str, title: &str, description: &str, namespace: bool) -> String {
        let (w, h, body) = (self.width, self.height, &self.body);
        let (title, description) = (escape(title), escape(description));
        let (namespace, style) = match namespace {
            true => (
                " xmlns=\"http://www.w3.org/2000/svg\"",
                format!("<style>{}</style>\n", style()),
            ),
            false => ("", String::new()),
        };
        format!(
            "<svg{namespace} class=\"plot\" role=\"img\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{description}</desc>\n{style}{body}</svg>\n"
        )
    }
}

fn class(series: usize) -> String {
    format!("s{}", series % SERIES.len())
}

fn px(at: f64) -> String {
    let text = format!("{:.1}", if at.abs() < 0.05 { 0.0 } else { at });
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance by WCAG 2.2.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                libm::pow((part + 0.055) / 1.055, 2.4)
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_series_stands_out_from_both_grounds() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for (light, dark) in SERIES {
            assert!(contrast(light, GROUND.0) >= 3.0, "{light}");
            assert!(contrast(dark, GROUND.1) >= 3.0, "{dark}");
        }
    }
}
