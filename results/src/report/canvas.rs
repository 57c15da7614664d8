//! A small drawing surface over plotters' SVG backend: floating-point pixels and themed colours.
//!
//! Two traits of that backend are worked around here and nowhere else. Its coordinates are whole
//! numbers, which makes stairs of curves: everything is drawn ten times too large and the view box
//! scales it down. Its colours are literal, which makes axes vanish on a dark page: every `Ink` is
//! drawn in a sentinel colour and replaced by a CSS variable afterwards, so that a chart follows the
//! page's theme while it is looked at.
//!
//! Drawing goes to memory and cannot fail.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoTextStyle, RGBColor, ShapeStyle};

/// Drawn units per pixel.
const SCALE: f64 = 10.0;
/// Targets beyond this many share colours, told apart by their labels.
pub(super) const SERIES_COUNT: u8 = 8;

/// A colour of the theme, or a literal one where it encodes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Words that matter.
    Text,
    /// Axis labels.
    Muted,
    /// Grid lines.
    Grid,
    /// Time in which somebody was held up.
    Stall,
    /// Waiting for a worker.
    Queued,
    /// Being worked on.
    Running,
    /// Waiting for an earlier item.
    HeadWait,
    /// With the device.
    Device,
    /// A target.
    Series(u8),
    /// A target, dashed.
    Dashed(u8),
    /// A number as a colour, the same in both themes.
    Literal(u8, u8, u8),
}

/// Where a text's anchor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// The surface, in pixels from the top left.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a chart; `label` says in words what it shows.
pub(super) fn svg(width: f64, height: f64, label: &str, draw: impl FnOnce(&Canvas<'_>)) -> String {
    let mut text = String::new();
    let size = (unsigned(width), unsigned(height));
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let canvas = Canvas { area };
        draw(&canvas);
        canvas
            .area
            .present()
            .expect("drawing to memory does not fail");
    }
    themed(&text, width, height, label)
}

impl Canvas<'_> {
    pub(super) fn line(&self, points: &[(f64, f64)], ink: Ink, width: f64) {
        if points.len() < 2 {
            return;
        }
        let path: Vec<(i32, i32)> = points.iter().copied().map(drawn).collect();
        let style = ShapeStyle::from(ink.sentinel()).stroke_width(unsigned(width));
        self.area
            .draw(&PathElement::new(path, style))
            .expect("drawing to memory does not fail");
    }

    pub(super) fn rect(&self, from: (f64, f64), to: (f64, f64), ink: Ink, opacity: f64) {
        let style = ShapeStyle::from(ink.sentinel().mix(opacity)).filled();
        self.area
            .draw(&Rectangle::new([drawn(from), drawn(to)], style))
            .expect("drawing to memory does not fail");
    }

    pub(super) fn polygon(&self, points: &[(f64, f64)], ink: Ink) {
        let path: Vec<(i32, i32)> = points.iter().copied().map(drawn).collect();
        self.area
            .draw(&Polygon::new(
                path,
                ShapeStyle::from(ink.sentinel()).filled(),
            ))
            .expect("drawing to memory does not fail");
    }

    pub(super) fn dot(&self, at: (f64, f64), radius: f64, ink: Ink, opacity: f64) {
        let style = ShapeStyle::from(ink.sentinel().mix(opacity)).filled();
        self.area
            .draw(&Circle::new(drawn(at), unsigned(radius), style))
            .expect("drawing to memory does not fail");
    }

    /// Text centred on `at` vertically.
    pub(super) fn text(&self, text: &str, at: (f64, f64), size: f64, ink: Ink, align: Align) {
        /// The backend writes sizes divided by this.
        const BACKEND_FONT_FACTOR: f64 = 1.24;
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        let color = ink.sentinel();
        let style = ("sans-serif", size * SCALE * BACKEND_FONT_FACTOR, &color)
            .into_text_style(&self.area)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area
            .draw(&Text::new(text.to_owned(), drawn(at), style))
            .expect("drawing to memory does not fail");
    }
}

/// About how wide a text is; the browser knows better, so this errs on the wide side.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.58
}

/// A text cut to about this width, with an ellipsis where it was cut.
pub(super) fn cut_to(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().collect();
    while !kept.is_empty() && text_width(&kept, size) + size > width {
        kept.pop();
    }
    format!("{kept}\u{2026}")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a chart is some thousand units wide"
)]
fn drawn(point: (f64, f64)) -> (i32, i32) {
    (
        (point.0 * SCALE).round() as i32,
        (point.1 * SCALE).round() as i32,
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are positive and some thousand units at most"
)]
fn unsigned(pixels: f64) -> u32 {
    (pixels * SCALE).round() as u32
}

impl Ink {
    const THEMED: [(Self, &'static str); 8] = [
        (Self::Text, "var(--text)"),
        (Self::Muted, "var(--muted)"),
        (Self::Grid, "var(--grid)"),
        (Self::Stall, "var(--stall)"),
        (Self::Queued, "var(--queued)"),
        (Self::Running, "var(--running)"),
        (Self::HeadWait, "var(--head-wait)"),
        (Self::Device, "var(--device)"),
    ];

    /// A colour no scale of numbers yields: nearly black, the last part telling inks apart.
    fn sentinel(self) -> RGBColor {
        let id = match self {
            Self::Text => 0,
            Self::Muted => 1,
            Self::Grid => 2,
            Self::Stall => 3,
            Self::Queued => 4,
            Self::Running => 5,
            Self::HeadWait => 6,
            Self::Device => 7,
            Self::Series(index) => 0x10 + index % SERIES_COUNT,
            Self::Dashed(index) => 0x20 + index % SERIES_COUNT,
            Self::Literal(red, green, blue) => return RGBColor(red, green, blue),
        };
        RGBColor(1, 2, id)
    }

    fn sentinel_text(self) -> String {
        let RGBColor(red, green, blue) = self.sentinel();
        format!("\"#{red:02X}{green:02X}{blue:02X}\"")
    }
}

/// Replaces sentinels by CSS variables and pixel sizes by a view box, and drops what CSS says.
fn themed(text: &str, width: f64, height: f64, label: &str) -> String {
    let body = text.split_once('>').map_or("", |(_, body)| body);
    let mut body = body
        .replace(" opacity=\"1\"", "")
        .replace(" font-family=\"sans-serif\"", "");
    for (ink, variable) in Ink::THEMED {
        body = body.replace(&ink.sentinel_text(), &format!("\"{variable}\""));
    }
    for index in 0..SERIES_COUNT {
        let plain = format!("\"var(--series-{index})\"");
        body = body.replace(&Ink::Series(index).sentinel_text(), &plain);
        let dashed = format!("{plain} stroke-dasharray=\"50 35\"");
        body = body.replace(&Ink::Dashed(index).sentinel_text(), &dashed);
    }
    let label = escaped(label);
    format!(
        "<svg viewBox=\"0 0 {} {}\" style=\"max-width:{}px\" role=\"img\" aria-label=\"{label}\">\n{body}",
        unsigned(width),
        unsigned(height),
        (width * 1.25).round(),
    )
}

/// Text made safe inside HTML and inside a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_theme_and_text_is_escaped() {
        let text = svg(100.0, 50.0, "a <b> \"c\"", |canvas| {
            canvas.line(&[(0.0, 0.0), (10.05, 5.0)], Ink::Series(1), 1.5);
            canvas.line(&[(0.0, 0.0), (1.0, 5.0)], Ink::Dashed(0), 1.5);
            canvas.rect((0.0, 0.0), (1.0, 1.0), Ink::Literal(200, 100, 50), 1.0);
            canvas.text("<script>", (5.0, 5.0), 10.0, Ink::Text, Align::Left);
        });
        assert!(text.contains("stroke=\"var(--series-1)\""), "{text}");
        assert!(
            text.contains("stroke=\"var(--series-0)\" stroke-dasharray"),
            "{text}"
        );
        assert!(text.contains("#C86432"), "{text}");
        assert!(text.contains("0,0 101,50"), "{text}");
        assert!(text.contains("viewBox=\"0 0 1000 500\""), "{text}");
        assert!(
            text.contains("aria-label=\"a &lt;b&gt; &quot;c&quot;\""),
            "{text}"
        );
        assert!(
            !text.contains("<script>") && !text.contains("#0102"),
            "{text}"
        );
        assert!(text.trim_end().ends_with("</svg>"), "{text}");
    }

    #[test]
    fn long_names_are_cut_and_short_ones_are_not() {
        assert_eq!(cut_to("short", 100.0, 10.0), "short");
        let cut = cut_to(&"x".repeat(100), 100.0, 10.0);
        assert!(
            cut.ends_with('\u{2026}') && cut.chars().count() < 20,
            "{cut}"
        );
    }
}
