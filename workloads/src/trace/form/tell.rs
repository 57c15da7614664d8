//! Which form a file has, by how it begins.
//!
//! Forms by bytes are told by their magic numbers, forms by lines by their first line. Where two could be meant the stricter one
//! is asked first; a file that is none of them is taken for comma-separated text, whose header then says what is wrong.

use super::super::own;
use super::{
    alibaba, blkparse, blktrace, fio, heimdall, mobigen, msr, spc, strace, tencent, vscsi,
};
use crate::plan::TraceFormat;

/// Begins a file of a form?
type Test<T> = fn(&T) -> bool;

/// By the first bytes.
const BY_HEAD: [(TraceFormat, Test<[u8]>); 3] = [
    (TraceFormat::Delalloc, own::looks_like),
    (TraceFormat::Blktrace, blktrace::looks_like),
    (TraceFormat::Vscsi, vscsi::looks_like),
];

/// By the first line.
const BY_LINE: [(TraceFormat, Test<str>); 9] = [
    (TraceFormat::FioIolog, fio::looks_like),
    (TraceFormat::Blkparse, blkparse::looks_like),
    (TraceFormat::Msr, msr::looks_like),
    (TraceFormat::Alibaba, alibaba::looks_like),
    (TraceFormat::Spc, spc::looks_like),
    (TraceFormat::Tencent, tencent::looks_like),
    (TraceFormat::Strace, strace::looks_like),
    (TraceFormat::Mobigen, mobigen::looks_like),
    (TraceFormat::Heimdall, heimdall::looks_like),
];

/// The form of a file that begins with these bytes.
pub(crate) fn tell(head: &[u8]) -> TraceFormat {
    if let Some((format, _)) = BY_HEAD.iter().find(|(_, test)| test(head)) {
        return *format;
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
    let told = BY_LINE.iter().find(|(_, test)| test(&line));
    told.map_or(TraceFormat::DelallocCsv, |(format, _)| *format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_first_line() {
        for (line, format) in [
            ("fio version 2 iolog", TraceFormat::FioIolog),
            ("fio version 3 iolog", TraceFormat::FioIolog),
            (
                "  8,0    0        1     0.000000000  1234  Q   W 2048 + 256 [k]",
                TraceFormat::Blkparse,
            ),
            (
                "128166372003061629,hm,0,Write,3154152960,4096,41286",
                TraceFormat::Msr,
            ),
            (
                "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime",
                TraceFormat::Msr,
            ),
            (
                "0,R,126703644672,4096,1577808000000626",
                TraceFormat::Alibaba,
            ),
            ("0,20941264,8192,W,0.551706", TraceFormat::Spc),
            ("1538323199,105352008,584,1,1576", TraceFormat::Tencent),
            ("0.000 0 11562803200 4096 1", TraceFormat::Heimdall),
            ("1 0 open /data/data O_WRONLY 36", TraceFormat::Mobigen),
            (
                "22699 1795388275.195512 pwrite64(3</data/g>, \"\"..., 65536, 0) = 65536 <0.000062>",
                TraceFormat::Strace,
            ),
            (
                "1795388275.195512 execve(\"/bin/true\", [\"true\"], 0x7ffd /* 20 vars */) = 0 <0.1>",
                TraceFormat::Strace,
            ),
            ("ts_us,op,dev,offset,len", TraceFormat::DelallocCsv),
            ("hello", TraceFormat::DelallocCsv),
        ] {
            for end in ["", "\n", "\r\nmore"] {
                assert_eq!(tell(format!("{line}{end}").as_bytes()), format, "{line}");
            }
        }
        assert_eq!(tell(b"\x07tae\0\0\0\0"), TraceFormat::Blktrace);
        assert_eq!(tell(b""), TraceFormat::DelallocCsv);
    }
}
