//! Locked memory for keys, and how the allocator keeps the rest: the one module with `unsafe`.
//!
//! Why unsafe: no safe interface hands out pages that are never written to swap or to a core dump. The pages come from
//! `memfd_secret(2)`, which the kernel removes from its own direct map, or, where the kernel lacks it, from an anonymous
//! mapping under `mlock(2)` and `MADV_DONTDUMP`. Both are zeroed before they are given back.
//! And no safe interface tells glibc's allocator what it may keep.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use zeroize::Zeroize;

/// One page that holds a `T` of plain bytes, out of reach of swap and core dumps.
pub(crate) struct Locked<const N: usize> {
    page: NonNull<[u8; N]>,
}

/// A page is the smallest thing that can be locked; every page size in use is a multiple of it.
const PAGE: usize = 4096;

impl<const N: usize> Locked<N> {
    /// A page of zeros. Fails when the process may lock no more memory (`RLIMIT_MEMLOCK`).
    pub(crate) fn zeroed() -> std::io::Result<Self> {
        const { assert!(N <= PAGE) };
        let pointer = secret_page().or_else(|_| locked_page())?;
        Ok(Self { page: pointer.cast() })
    }
}

/// Has glibc keep freed memory in two places for all threads rather than in one for each, of which every one keeps what it once
/// took: less is resident. To be called before there are other threads; other allocators go on as they do.
pub(crate) fn keep_less() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes two numbers; a parameter that the allocator does not know changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// What pages for keys are here: `memfd_secret` or `mlock`.
pub(crate) fn kind() -> std::io::Result<&'static str> {
    let secret = secret_page().map(|page| (page, "memfd_secret"));
    let (page, kind) = secret.or_else(|_| locked_page().map(|page| (page, "mlock")))?;
    drop(Locked::<PAGE> { page: page.cast() });
    Ok(kind)
}

/// A page of `memfd_secret`: not in the kernel's direct map, never swapped.
fn secret_page() -> std::io::Result<NonNull<u8>> {
    // SAFETY: the call takes a flag word and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(std::io::Error::last_os_error)?;
    // SAFETY: `fd` was just made and is closed exactly once; the mapping keeps the pages alive after that.
    unsafe {
        let sized = libc::ftruncate(fd, PAGE as libc::off_t) == 0;
        let page = if sized { map(libc::MAP_SHARED, fd) } else { Err(std::io::Error::last_os_error()) };
        libc::close(fd);
        page
    }
}

/// An anonymous page under mlock, left out of core dumps.
fn locked_page() -> std::io::Result<NonNull<u8>> {
    // SAFETY: a fresh private anonymous mapping; it is unmapped here if it can't be locked.
    unsafe {
        let page = map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        if libc::mlock(page.as_ptr().cast(), PAGE) != 0 {
            let error = std::io::Error::last_os_error();
            libc::munmap(page.as_ptr().cast(), PAGE);
            return Err(error);
        }
        libc::madvise(page.as_ptr().cast(), PAGE, libc::MADV_DONTDUMP);
        libc::madvise(page.as_ptr().cast(), PAGE, libc::MADV_DONTFORK);
        Ok(page)
    }
}

/// # Safety
/// `fd` must be open and at least a page long, or -1 with MAP_ANONYMOUS.
unsafe fn map(flags: i32, fd: i32) -> std::io::Result<NonNull<u8>> {
    // SAFETY: the kernel chooses an address that is not in use; the caller vouches for `fd`.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    if page == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    NonNull::new(page.cast()).ok_or_else(std::io::Error::last_os_error)
}

impl<const N: usize> Deref for Locked<N> {
    type Target = [u8; N];
    fn deref(&self) -> &[u8; N] {
        // SAFETY: the page is mapped and zero-initialised, holds N bytes (checked in `zeroed`), and lives as long as self.
        unsafe { self.page.as_ref() }
    }
}

impl<const N: usize> DerefMut for Locked<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        // SAFETY: as in `deref`; `&mut self` makes the access the only one.
        unsafe { self.page.as_mut() }
    }
}

impl<const N: usize> Drop for Locked<N> {
    fn drop(&mut self) {
        self.zeroize();
        // SAFETY: the page came from `map` with this length and nothing refers to it any more.
        unsafe { libc::munmap(self.page.as_ptr().cast(), PAGE) };
    }
}

// SAFETY: the page belongs to this value alone; moving it to another thread moves that ownership.
unsafe impl<const N: usize> Send for Locked<N> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_page_can_be_written() {
        for page in [secret_page(), locked_page()].into_iter().flatten() {
            let mut locked = Locked::<64> { page: page.cast() };
            assert_eq!(*locked, [0; 64]);
            locked[63] = 7;
            assert_eq!(locked[63], 7);
        }
        assert_eq!(*Locked::<96>::zeroed().unwrap(), [0; 96]);
    }
}
