//! One panel: a frame with two axes, and what is drawn inside it in the units of the data.

use super::axis::Axis;
use super::canvas::{Align, Canvas, Ink, cut_to, text_width};

pub(super) const FONT_PX: f64 = 12.5;
pub(super) const SMALL_PX: f64 = 11.5;

/// A panel at a place on a canvas.
pub(super) struct Plot<'p, 'c> {
    canvas: &'p Canvas<'c>,
    /// Left, top, right, bottom of the inside.
    frame: (f64, f64, f64, f64),
    x: &'p Axis,
    y: &'p Axis,
}

impl<'p, 'c> Plot<'p, 'c> {
    /// Draws the frame's grid and labels.
    pub(super) fn new(
        canvas: &'p Canvas<'c>,
        frame: (f64, f64, f64, f64),
        x: &'p Axis,
        y: &'p Axis,
    ) -> Self {
        let plot = Self {
            canvas,
            frame,
            x,
            y,
        };
        let (left, top, right, bottom) = frame;
        for (value, text) in &y.ticks {
            let height = plot.at(0.0, *value).1;
            canvas.line(&[(left, height), (right, height)], Ink::Grid, 1.0);
            canvas.text(
                text,
                (left - 6.0, height),
                SMALL_PX,
                Ink::Muted,
                Align::Right,
            );
        }
        for (value, _) in &x.ticks {
            let across = plot.across(*value);
            canvas.line(&[(across, top), (across, bottom)], Ink::Grid, 1.0);
        }
        canvas.line(&[(left, bottom), (right, bottom)], Ink::Muted, 1.0);
        plot
    }

    /// Labels the ticks of the x axis, leaving out those without room.
    pub(super) fn label_x(&self) {
        let (left, _, right, bottom) = self.frame;
        let mut taken = f64::NEG_INFINITY;
        let mut ticks: Vec<&(f64, String)> = self.x.ticks.iter().collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (value, text) in ticks {
            let half = text_width(text, SMALL_PX) / 2.0;
            let across = self
                .across(*value)
                .clamp(left + half - 20.0, right - half + 12.0);
            if across - half >= taken {
                self.canvas.text(
                    text,
                    (across, bottom + 12.0),
                    SMALL_PX,
                    Ink::Muted,
                    Align::Center,
                );
                taken = across + half + 6.0;
            }
        }
    }

    /// A title above the frame and a legend to its right.
    pub(super) fn title(&self, title: &str, legend: &[(&str, Ink)]) {
        let (left, top, right, _) = self.frame;
        let height = top - 10.0;
        let words = |text: &str, x: f64, size: f64, ink: Ink| {
            self.canvas.text(text, (x, height), size, ink, Align::Left);
        };
        let title = cut_to(title, (right - left) * 0.45, FONT_PX);
        words(&title, left, FONT_PX, Ink::Text);
        let mut across = left + text_width(&title, FONT_PX) + 10.0;
        for (name, ink) in legend {
            let name = cut_to(name, right - across - 18.0, SMALL_PX);
            self.canvas
                .line(&[(across, height), (across + 14.0, height)], *ink, 2.0);
            words(&name, across + 18.0, SMALL_PX, Ink::Muted);
            across += 18.0 + text_width(&name, SMALL_PX) + 10.0;
        }
    }

    pub(super) fn across(&self, x: f64) -> f64 {
        let (left, _, right, _) = self.frame;
        left + self.x.place(x) * (right - left)
    }

    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (_, top, _, bottom) = self.frame;
        (self.across(x), bottom - self.y.place(y) * (bottom - top))
    }

    pub(super) fn line(&self, points: &[(f64, f64)], ink: Ink, width: f64) {
        let (left, _, right, _) = self.frame;
        let thinned = thinned(points, (right - left) * 2.0);
        let placed: Vec<(f64, f64)> = thinned.iter().map(|&(x, y)| self.at(x, y)).collect();
        if let [only] = placed.as_slice() {
            self.canvas.dot(*only, 2.0, ink, 1.0);
        }
        self.canvas.line(&placed, ink, width);
    }

    /// A rectangle in the units of the data.
    pub(super) fn block(&self, x: (f64, f64), y: (f64, f64), ink: Ink, opacity: f64) {
        let (left, top) = self.at(x.0, y.1);
        let (right, bottom) = self.at(x.1, y.0);
        self.canvas.rect((left, top), (right, bottom), ink, opacity);
    }

    /// A line over the whole height.
    pub(super) fn mark(&self, x: f64) {
        let (_, top, _, bottom) = self.frame;
        let across = self.across(x);
        self.canvas
            .line(&[(across, top), (across, bottom)], Ink::Muted, 0.7);
    }

    /// A band over the whole height.
    pub(super) fn band(&self, from: f64, to: f64, ink: Ink, opacity: f64) {
        let (_, top, _, bottom) = self.frame;
        self.canvas.rect(
            (self.across(from), top),
            (self.across(to), bottom),
            ink,
            opacity,
        );
    }
}

/// At most about `count_max` points: of each slice the lowest and the highest, so spikes survive.
fn thinned(points: &[(f64, f64)], count_max: f64) -> Vec<(f64, f64)> {
    const LEAST: f64 = 4.0;
    if (points.len() as f64) <= count_max.max(LEAST) {
        return points.to_vec();
    }
    let per_slice = (points.len() as f64 * 2.0 / count_max.max(LEAST))
        .ceil()
        .max(2.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 2 and the number of points"
    )]
    let per_slice = per_slice as usize;
    let mut kept = Vec::new();
    for slice in points.chunks(per_slice) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) = (
            slice.iter().min_by(by_height),
            slice.iter().max_by(by_height),
        ) else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 {
            (low, high)
        } else {
            (high, low)
        };
        kept.push(*first);
        if first != second {
            kept.push(*second);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_spike() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[7_777].1 = 99.0;
        let kept = thinned(&points, 500.0);
        assert!(kept.len() <= 600, "{}", kept.len());
        assert!(kept.contains(&(7_777.0, 99.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert_eq!(thinned(&points[..10], 500.0).len(), 10);
    }
}
