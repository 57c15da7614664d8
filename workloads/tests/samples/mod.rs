//! A few lines or records of every form of recordings but our own.

use delalloc_workloads::plan::TraceFormat;

/// A few lines or records of every form but our own.
pub(crate) fn samples() -> Vec<(TraceFormat, Vec<u8>)> {
    let text = |format, text: &str| (format, text.as_bytes().to_vec());
    vec![
        text(
            TraceFormat::DelallocCsv,
            "ts_us,op,thread,file,offset,len\n5,create,1,a,,\n9,write,2,a,0,4096\n9.5,fsync,1,a,,\n10,moveto,1,a,,\n11,close,1,a,,\n12,unlink,1,a,,\n13,write,1,a,512,100\n7,read,3,b,0,8\n14,truncate,1,b,,77\n15,flush,1,,,\n",
        ),
        text(
            TraceFormat::Blkparse,
            "  8,0    0        1     0.000000000  1234  Q   W 2048 + 256 [kworker/u4:1]\n  8,0    0        5     0.000812000     0  C   W 2048 + 256 [0]\n  8,0    0        7     1.499999900  1234  Q  FW [kworker/u4:1]\n  8,0    0        9     1.500002900  1234  Q FWFS 8192 + 8 [kworker/u4:1]\n",
        ),
        (TraceFormat::Blktrace, blktrace()),
        text(
            TraceFormat::FioIolog,
            "fio version 3 iolog\n0 /data/f0 add\n12 /data/f0 open\n1530 /data/f0 write 65536 131072\n2100 /data/f0 sync 0 0\n9000 /data/f0 close\n",
        ),
        text(
            TraceFormat::FioIolog,
            "fio version 2 iolog\n/data/f0 add\n/data/f0 open\n/data/f0 wait 2 0\n/data/f0 read 0 512\n/data/f0 trim 0 512\n",
        ),
        text(
            TraceFormat::Msr,
            "128166372003061629,hm,0,Write,3154152960,4096,41286\n128166372003061729,prn,0,Read,4096,512,7\n",
        ),
        text(
            TraceFormat::Alibaba,
            "0,R,126703644672,4096,1577808000000626\n7,W,0,512,1577808000000700\n",
        ),
        text(
            TraceFormat::Tencent,
            "1538323199,105352008,584,1,1576\n1538323199,8,8,0,1577\n1538323200,8,8,0,1577\n",
        ),
        text(
            TraceFormat::Spc,
            "0,20941264,8192,W,0.551706\n1,8,512,r,0.6\n",
        ),
        (TraceFormat::Vscsi, vscsi()),
        text(
            TraceFormat::Heimdall,
            "0.000 0 11562803200 4096 1\n0.412 0 512 36864 0\n",
        ),
        text(
            TraceFormat::Strace,
            "22699 1795388275.195512 pwrite64(3</data/g>, \"\"..., 65536, 0) = 65536 <0.000062>\n22699 1795388275.216537 fsync(3</data/g> <unfinished ...>\n22700 1795388275.216980 rename(\"/data/g\", \"/data/h\") = 0 <0.000009>\n22699 1795388275.217014 <... fsync resumed>) = 0 <0.000201>\n",
        ),
        text(
            TraceFormat::Mobigen,
            "1 0 open /data/data O_WRONLY|O_CREAT|O_TRUNC 36\n1 40 write 36 4\n1 50 close 36 0\n2 20 pwrite 36 4096 512\n2 30 fsync 36 0\n",
        ),
    ]
}

/// Two queue events, little-endian.
fn blktrace() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (time, action) in [(5_u64, 0x0002_0001_u32), (9, 0x0005_0001)] {
        bytes.extend(0x6561_7407_u32.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(time.to_le_bytes());
        bytes.extend(2048_u64.to_le_bytes());
        bytes.extend(4096_u32.to_le_bytes());
        bytes.extend(action.to_le_bytes());
        bytes.extend([0; 16]);
    }
    bytes
}

/// A read and a write.
fn vscsi() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (time, command) in [(5_u64, 0x28_u16), (9, 0x2a)] {
        bytes.extend([7, 0, 0, 0]);
        bytes.extend(4096_u32.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(command.to_le_bytes());
        bytes.extend(0x100_u16.to_le_bytes());
        bytes.extend(2048_u64.to_le_bytes());
        bytes.extend(time.to_le_bytes());
    }
    bytes
}
