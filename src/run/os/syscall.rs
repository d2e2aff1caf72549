//! Direct system calls, for a child that shares trc's memory: the C library would set its `errno`
//! in the middle of PID 1's work. The numbers come from libc, and the registers from syscall(2).

use std::ffi::c_long;

/// Makes a system call.
///
/// # Errors
/// Returns the error number.
///
/// # Safety
/// What the call asks of its arguments.
pub(crate) unsafe fn call(number: c_long, arguments: &[usize]) -> Result<usize, i32> {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    // SAFETY: the caller guarantees it.
    let result = unsafe { raw(number, all) };
    // Linux reports errors in this way on every machine: errno(3) ends at 4095.
    if (-4095..0).contains(&result) {
        Err(i32::try_from(-result).unwrap_or(libc::EINVAL))
    } else {
        Ok(usize::try_from(result.cast_unsigned()).unwrap_or(0))
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: c_long, a: [usize; 6]) -> c_long {
    let result: c_long;
    // SAFETY: the caller guarantees it. The kernel clobbers rcx and r11, and leaves the stack
    // alone.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn raw(number: c_long, a: [usize; 6]) -> c_long {
    let result: c_long;
    // SAFETY: the caller guarantees it. The kernel leaves all other registers alone.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
            options(nostack),
        );
    }
    result
}

/// On other machines, the child is forked, and has an `errno` of its own.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn raw(number: c_long, a: [usize; 6]) -> c_long {
    // SAFETY: the caller guarantees it.
    match unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) } {
        -1 => -c_long::from(nix::errno::Errno::last_raw()),
        result => result,
    }
}
