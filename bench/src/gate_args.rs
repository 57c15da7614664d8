//! What was typed after `delalloc gate`.

use std::path::PathBuf;

use clap::Subcommand;
use delalloc_results::gate::AbClass;

/// Fresh sets of processes of a sliced comparison, of two builds and in the calibration of such a gate alike.
const PAIRS: u16 = 16;
/// Slices of each.
const SLICES: u16 = 40;
/// What slices are to detect where nobody says, beyond their floor.
const DETECT_BEYOND: f64 = 0.02;

/// Arguments of `gate`: a result and its baseline, or one of the commands.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct GateArgs {
    /// Another way to judge
    #[command(subcommand)]
    pub how: Option<GateCommand>,
    /// The result.json or run's directory to judge or to bless
    #[arg(required = true)]
    pub result: Option<PathBuf>,
    /// The committed baseline
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "bless",
        conflicts_with = "bless"
    )]
    pub baseline: Option<PathBuf>,
    /// Make a baseline of the result
    #[arg(long, requires_all = ["reason", "output"], conflicts_with_all = ["junit", "summary"])]
    pub bless: bool,
    /// Why the baseline changes; kept in it
    #[arg(long, value_name = "TEXT", requires = "bless")]
    pub reason: Option<String>,
    /// Where the baseline goes
    #[arg(long, short, value_name = "FILE", requires = "bless")]
    pub output: Option<PathBuf>,
    /// What is left of it
    #[command(flatten)]
    pub outputs: OutputArgs,
}

/// The commands of `gate`.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Compare two builds that run in turns on this machine
    Ab(AbArgs),
    /// Rewrite a committed baseline from a result, and keep why
    Bless(BlessArgs),
    /// Compare the instructions of a deterministic replay with committed ones; needs valgrind
    Counted(CountedArgs),
    /// How often this machine's gate cries wolf, and what it finds: null and planted comparisons
    Calibrate(CalibrateArgs),
    /// The newest of many results beside those before it; advice only
    Trend(TrendArgs),
    /// Serve slices of a workload to a gate that asks for them over a pipe
    #[command(hide = true)]
    Slices(SlicesArgs),
}

/// Where verdicts go besides the terminal.
#[derive(Debug, clap::Args)]
pub struct OutputArgs {
    /// Print the verdicts as JSON
    #[arg(long)]
    pub json: bool,
    /// Write them as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write them as Markdown, below 1 MiB; $GITHUB_STEP_SUMMARY gets the same
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// End with 0 where nothing can be told
    #[arg(long)]
    pub allow_inconclusive: bool,
}

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct TaskArgs {
    /// A workload file, or the name of one that comes along
    pub workload: String,
    /// Set a value of the workload or a knob; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// Measure these targets of the workload alone; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,
}

/// Arguments of `gate slices`.
#[derive(Debug, clap::Args)]
pub struct SlicesArgs {
    /// What is measured
    #[command(flatten)]
    pub task: TaskArgs,
    /// The phase that is sliced [default: the last that reads or writes]
    #[arg(long, value_name = "NAME")]
    pub phase: Option<String>,
}

/// How finely slices compare.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct SlicingArgs {
    /// Fresh sets of processes of a sliced comparison; 16 can tell one change among 300 numbers
    #[arg(long, default_value_t = PAIRS, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pairs: u16,
    /// Slices of each
    #[arg(long, default_value_t = SLICES, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub slices: u16,
    /// Measure more sets, up to eight times --pairs, until slices could detect a change of so many per cent [default: 2 beyond their floor]
    #[arg(long, value_name = "PERCENT", value_parser = detect)]
    pub detect: Option<f64>,
}

/// Whose floor it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FloorOf {
    /// Of every number of a class.
    Class(AbClass),
    /// Of the number of this name, whatever its class has.
    Number(String),
}

/// Arguments of `gate ab`.
#[derive(Debug, clap::Args)]
pub struct AbArgs {
    /// What is measured
    #[command(flatten)]
    pub task: TaskArgs,
    /// Compare with this revision of the repository here; it is built once and kept
    #[arg(
        long,
        value_name = "REV",
        required_unless_present = "base_bin",
        conflicts_with = "base_bin"
    )]
    pub base: Option<String>,
    /// Compare with this binary
    #[arg(long, value_name = "PATH")]
    pub base_bin: Option<PathBuf>,
    /// Judge this binary [default: the one that runs]
    #[arg(long, value_name = "PATH")]
    pub head_bin: Option<PathBuf>,
    /// Where builds of revisions are kept
    #[arg(long, value_name = "DIR", default_value = "target/gate")]
    pub cache: PathBuf,
    /// How to compare; may be repeated [default: sliced, rounds, tail]
    #[arg(long = "class", value_name = "CLASS", value_parser = class)]
    pub classes: Vec<AbClass>,
    /// How finely slices compare
    #[command(flatten)]
    pub slicing: SlicingArgs,
    /// Slice this phase of the workload; may be repeated [default: the last that reads or writes]
    #[arg(long = "phase", value_name = "NAME")]
    pub phases: Vec<String>,
    /// Blocks of six whole replays
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub blocks: u16,
    /// Changes of a class, or of the number of this name, up to so many per cent are nobody's business; may be repeated
    #[arg(long = "floor", value_name = "CLASS|NUMBER=PERCENT", value_parser = floor)]
    pub floors: Vec<(FloorOf, f64)>,
    /// Shuffles the turns and draws the clusters of the bootstrap
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Plant a fault into the judged build
    #[arg(long, hide = true)]
    pub plant: Option<String>,
    /// Where verdicts go
    #[command(flatten)]
    pub outputs: OutputArgs,
}

/// Arguments of `gate bless`.
#[derive(Debug, clap::Args)]
pub struct BlessArgs {
    /// The result.json or run's directory that becomes the baseline
    pub result: PathBuf,
    /// Why these numbers are the ones to hold; kept in the baseline
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The baseline; what it said before is kept in its history
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Hold a ratio within the run as well, within so many per cent; may be repeated
    #[arg(long = "ratio", value_name = "EXPR=PERCENT", value_parser = ratio)]
    pub ratios: Vec<(String, f64)>,
    /// Print what is held as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `gate counted`.
#[derive(Debug, clap::Args)]
pub struct CountedArgs {
    /// What is counted; deterministic
    #[command(flatten)]
    pub task: TaskArgs,
    /// The committed baseline of instructions
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "bless",
        conflicts_with = "bless"
    )]
    pub baseline: Option<PathBuf>,
    /// Make a baseline: count twice, and hold what was counted
    #[arg(long, requires_all = ["reason", "output"], conflicts_with_all = ["junit", "summary"])]
    pub bless: bool,
    /// Why the baseline changes; kept in it
    #[arg(long, value_name = "TEXT", requires = "bless")]
    pub reason: Option<String>,
    /// Where the baseline goes; what it said before is kept in its history
    #[arg(long, short, value_name = "FILE", requires = "bless")]
    pub output: Option<PathBuf>,
    /// Plant a fault into the counted build
    #[arg(long, hide = true)]
    pub plant: Option<String>,
    /// What is left of it
    #[command(flatten)]
    pub outputs: OutputArgs,
}

/// Arguments of `gate calibrate`.
#[derive(Debug, clap::Args)]
pub struct CalibrateArgs {
    /// What is measured
    #[command(flatten)]
    pub task: TaskArgs,
    /// Comparisons of this build with itself
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub trials: u32,
    /// Comparisons with each planted slowdown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub planted_trials: u32,
    /// Slowdowns of writes to plant, in per cent
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', default_values_t = [3.0, 5.0, 10.0, 20.0])]
    pub plants: Vec<f64>,
    /// How finely slices compare
    #[command(flatten)]
    pub slicing: SlicingArgs,
    /// Slice this phase of the workload [default: the last that reads or writes]
    #[arg(long, value_name = "NAME")]
    pub phase: Option<String>,
    /// Print the table as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `gate trend`.
#[derive(Debug, clap::Args)]
pub struct TrendArgs {
    /// Holds results, or runs' directories
    pub directory: PathBuf,
    /// Runs before the newest that count
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(3..=1000))]
    pub last: u16,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

impl AbArgs {
    /// Changes of a number up to this part are nobody's business. What was said last counts, of the number before of its class.
    pub fn floor(&self, class: AbClass, number: &str) -> f64 {
        let last = |wanted: FloorOf| {
            let mut floors = self.floors.iter().rev();
            floors.find_map(|(of, floor)| (*of == wanted).then_some(*floor))
        };
        last(FloorOf::Number(number.to_owned()))
            .or_else(|| last(FloorOf::Class(class)))
            .unwrap_or_else(|| class.rule().floor)
    }
}

impl SlicingArgs {
    /// What is to be detected as a part, where changes up to the part `floor` are nobody's business.
    ///
    /// # Errors
    /// Where that is not beyond the floor.
    pub fn detect(&self, floor: f64) -> Result<f64, String> {
        let detect = self.detect.unwrap_or(floor + DETECT_BEYOND);
        if detect <= floor {
            let [detect, floor] = [detect, floor].map(|part| (part * 1e4).round() / 100.0);
            return Err(format!(
                "--detect {detect}: changes up to the floor, {floor} %, are nobody's business; ask for more, or lower it with --floor"
            ));
        }
        Ok(detect)
    }
}

impl GateArgs {
    /// Whether stdout is read by a program.
    pub fn json(&self) -> bool {
        match &self.how {
            None => self.outputs.json,
            Some(GateCommand::Ab(args)) => args.outputs.json,
            Some(GateCommand::Counted(args)) => args.outputs.json,
            Some(GateCommand::Calibrate(args)) => args.json,
            Some(GateCommand::Trend(args)) => args.json,
            Some(GateCommand::Bless(args)) => args.json,
            Some(GateCommand::Slices(_)) => false,
        }
    }
}

fn class(text: &str) -> Result<AbClass, String> {
    let all = [
        AbClass::Counted,
        AbClass::Sliced,
        AbClass::Rounds,
        AbClass::Tail,
    ];
    all.into_iter()
        .find(|class| class.word() == text)
        .ok_or_else(|| "there are counted, sliced, rounds and tail".to_owned())
}

fn floor(text: &str) -> Result<(FloorOf, f64), String> {
    let (name, percent) = text.rsplit_once('=').ok_or(
        "write CLASS=PERCENT, as in sliced=3, or the name of a number, as in 'slices(load)=10'",
    )?;
    let of = class(name).map_or_else(|_| FloorOf::Number(name.to_owned()), FloorOf::Class);
    Ok((of, part(percent, "a floor")?))
}

/// What is measured, and how far it may be off as a part of it.
fn ratio(text: &str) -> Result<(String, f64), String> {
    let (expression, percent) = text.rsplit_once('=').ok_or(
        "write EXPR=PERCENT, as in 'throughput(engine, serve.write) / throughput(raw, serve.write)=10'",
    )?;
    let expression = expression.trim().to_owned();
    Ok((expression, part(percent.trim(), "a tolerance")?))
}

/// As a part.
fn detect(percent: &str) -> Result<f64, String> {
    part(percent, "what is to be detected")
}

fn part(percent: &str, what: &str) -> Result<f64, String> {
    let percent: f64 = percent
        .parse()
        .map_err(|_| format!("{percent:?} is no percentage"))?;
    if !(0.0..=1000.0).contains(&percent) {
        return Err(format!("{what} is 0 to 1000 per cent"));
    }
    Ok(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        gate: GateArgs,
    }

    #[test]
    fn what_is_calibrated_is_the_gate_of_two_builds() {
        let parsed = |line: &[&str]| Line::try_parse_from(line).expect("a command").gate.how;
        let ab = parsed(&["gate", "ab", "w", "--base", "HEAD"]);
        let calibrate = parsed(&["gate", "calibrate", "w"]);
        let (Some(GateCommand::Ab(ab)), Some(GateCommand::Calibrate(calibrate))) = (ab, calibrate)
        else {
            panic!("other commands");
        };
        assert_eq!(ab.slicing, calibrate.slicing);
    }

    #[test]
    fn what_is_to_be_detected_is_beyond_the_floor() {
        let of = |line: &[&str]| {
            let line = [&["gate", "ab", "w", "--base", "HEAD"], line].concat();
            match Line::try_parse_from(line).expect("a command").gate.how {
                Some(GateCommand::Ab(args)) => args.slicing,
                _ => panic!("another command"),
            }
        };
        assert_eq!(of(&[]).detect(0.03), Ok(0.05));
        assert_eq!(of(&["--detect", "4"]).detect(0.03), Ok(0.04));
        let refused = of(&["--detect", "3"]).detect(0.03).expect_err("not beyond");
        assert!(refused.starts_with("--detect 3: ") && refused.contains("--floor"));
    }
}
