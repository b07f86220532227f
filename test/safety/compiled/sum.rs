//! A compiled handler in Rust: `at` is the argument's place in this module's memory, `base` what is subtracted from native pointers.
#![no_std]
#![no_main]

extern "C" {
    fn malloc(size: usize) -> *mut u8;
}

#[repr(C)]
pub struct Node {
    header: u32,
    id: u32,
    next: u64,
}

fn follow(pointer: u64, base: u32) -> *const Node {
    if pointer == 0 { core::ptr::null() } else { (pointer as u32).wrapping_sub(base) as *const Node }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

#[no_mangle]
pub unsafe extern "C" fn sum(mut at: *const Node, base: u32) -> u32 {
    let mut total = 0u32;
    while let Some(node) = at.as_ref() {
        total = total.wrapping_add(node.id);
        at = follow(node.next, base);
    }
    total
}

/// The ids as bytes: where they lie, and how many.
#[no_mangle]
pub unsafe extern "C" fn ids(mut at: *const Node, base: u32) -> u64 {
    let mut count = 0;
    let mut node = at;
    while let Some(known) = node.as_ref() {
        count += 1;
        node = follow(known.next, base);
    }
    let bytes = malloc(count);
    for i in 0..count {
        let node = at.as_ref().unwrap();
        *bytes.add(i) = node.id as u8;
        at = follow(node.next, base);
    }
    ((bytes as u64) << 32) | count as u64
}

#[no_mangle]
pub unsafe extern "C" fn forever(_at: *const Node, _base: u32) -> u32 {
    let mut turns = 0u32;
    loop {
        core::ptr::write_volatile(&mut turns, turns.wrapping_add(1));
    }
}
