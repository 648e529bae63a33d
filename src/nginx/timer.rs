// SPDX-License-Identifier: Apache-2.0
//! Something that a worker does again and again, in its event loop
//! (<https://nginx.org/en/docs/dev/development_guide.html#event_loop>).

use std::ptr::{self, NonNull};

use ngx::ffi::{ngx_add_timer, ngx_connection_t, ngx_del_timer, ngx_event_t, ngx_exiting, ngx_msec_t};

use super::barrier::guard;
use super::layout::{CANCELABLE, TIMER_SET};
use super::log::Log;

#[repr(C)]
struct Ticking {
    /// nginx's debug log takes what an event is about for a connection, and reads its descriptor.
    connection: ngx_connection_t,
    event: ngx_event_t,
    period: ngx_msec_t,
    tick: Box<dyn Fn()>,
}

/// Calls a function every so many milliseconds, until it is dropped. A worker that is told to end does not wait for it.
pub struct Timer(NonNull<Ticking>);

impl Timer {
    /// Starts one, in a process that has an event loop.
    pub fn start(period: u32, tick: impl Fn() + 'static) -> Timer {
        // SAFETY: both consist of numbers and of pointers that may be null.
        let (mut connection, event): (ngx_connection_t, ngx_event_t) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        connection.fd = -1;
        let period = period as ngx_msec_t;
        let at = NonNull::from(Box::leak(Box::new(Ticking { connection, event, period, tick: Box::new(tick) })));
        // SAFETY: the memory stays where it is until the value is dropped, which takes the event out of nginx's tree.
        unsafe {
            let event = &mut (*at.as_ptr()).event;
            event.data = at.as_ptr().cast();
            event.handler = Some(handler);
            event.log = Log::of_cycle().as_ptr();
            CANCELABLE.set(event);
            ngx_add_timer(event, period);
        }
        Timer(at)
    }
}

/// Whether this worker has been told to end, and only completes what it has begun.
pub fn is_ending() -> bool {
    // SAFETY: nginx sets it in the event loop, from where this is called.
    unsafe { ngx_exiting != 0 }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: `start` has made it, and nginx knows it only while the flag is set.
        unsafe {
            let event = ptr::addr_of_mut!((*self.0.as_ptr()).event);
            if TIMER_SET.is_set(&*event) {
                ngx_del_timer(event);
            }
            drop(Box::from_raw(self.0.as_ptr()));
        }
    }
}

unsafe extern "C" fn handler(event: *mut ngx_event_t) {
    // SAFETY: nginx calls it with an event of `start`.
    unsafe {
        let ticking = (*event).data.cast::<Ticking>();
        guard(Log::of_cycle, (), || ((*ticking).tick)());
        ngx_add_timer(event, (*ticking).period);
    }
}
