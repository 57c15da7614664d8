//! `delalloc params`: the table of knobs, from the rows that also feed YAML, `--set` and sweeps.

use delalloc_engine::config::params as rows;
use delalloc_results::ExitCode;

use crate::args::ParamsArgs;
use crate::failure::Failure;
use crate::out;
use crate::table::Table;

pub(super) fn params(args: &ParamsArgs) -> Result<ExitCode, Failure> {
    let wanted = |name: &str| {
        args.filter
            .as_deref()
            .is_none_or(|filter| name.contains(filter))
    };
    let rows = rows().iter().filter(|row| wanted(row.name));
    if args.json {
        let rows: Vec<_> = rows
            .map(|row| {
                serde_json::json!({
                    "name": row.name,
                    "unit": row.unit.name(),
                    "default": row.default_text(),
                    "domain": row.domain_text(),
                    "doc": row.doc,
                })
            })
            .collect();
        out::print(format_args!("{}\n", serde_json::Value::from(rows)))?;
        return Ok(ExitCode::Good);
    }
    let mut table = Table::new(4, &["knob", "default", "takes", "meaning"]);
    for row in rows {
        table.row(vec![
            row.name.to_owned(),
            row.default_text(),
            row.domain_text(),
            row.doc.to_owned(),
        ]);
    }
    out::print(table)?;
    Ok(ExitCode::Good)
}
