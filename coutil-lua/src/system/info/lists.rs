//! `system.cpuinfo`, `netinfo`, and their iterators (30 §4).

use crate::raw::error::{DIRECT, raise, raise_byte};
use crate::raw::{Functions, args, c_int, compat, lua_State};
use crate::state::StateRef;
use crate::system::held;
use crate::system::{Class, check_object, push_failure, push_message, set_class};
use coutil_system::info::{self, Cpu, Interface};
use coutil_system::net::address::literal;
use coutil_system::{Error, Result};
use mlua::ffi;
use std::ffi::CStr;
use std::mem::offset_of;
use std::net::IpAddr;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"cpuinfo", cpu_info), (c"netinfo", net_info)];

pub(crate) const CPU_METAMETHODS: Functions<'_> = metamethods::<CpuEntry>();
pub(crate) const INTERFACE_METAMETHODS: Functions<'_> = metamethods::<InterfaceEntry>();

const fn metamethods<E: Entry>() -> Functions<'static> {
    &[(c"__gc", collect::<E>), (c"__close", collect::<E>), (c"__len", len::<E>), (c"__call", call::<E>)]
}

/// What a list has. Any bytes are one.
trait Entry: Copy {
    const CLASS: Class;
    const CLOSED: &'static CStr;

    /// Pushes what a letter stands for. [-0, +1] False, and nothing is pushed, if there is no such letter. Raises for memory.
    unsafe fn push(&self, L: *mut lua_State, letter: u8) -> bool;
}

/// A short text.
#[derive(Clone, Copy)]
struct Text<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    fn new(text: &[u8]) -> Self {
        let len = text.len().min(N).min(255);
        let mut bytes = [0; N];
        bytes[..len].copy_from_slice(&text[..len]);
        Self { len: len as u8, bytes }
    }

    unsafe fn push(&self, L: *mut lua_State) {
        let bytes = &self.bytes[..usize::from(self.len).min(N)];
        // SAFETY: Lua copies the bytes.
        unsafe { ffi::lua_pushlstring(L, bytes.as_ptr().cast(), bytes.len()) };
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CpuEntry {
    clock: u64,
    /// In the order of the letters `unsid`.
    times: [u64; 5],
    model: Text<200>,
}

impl CpuEntry {
    fn new(cpu: &Cpu) -> Self {
        Self {
            clock: cpu.clock,
            times: [cpu.user, cpu.nice, cpu.system, cpu.idle, cpu.interrupt],
            model: Text::new(cpu.model.as_bytes()),
        }
    }
}

impl Entry for CpuEntry {
    const CLASS: Class = Class::CpuList;
    const CLOSED: &'static CStr = c"closed coutil:cpustats";

    unsafe fn push(&self, L: *mut lua_State, letter: u8) -> bool {
        let number = match letter {
            b'c' => self.clock,
            b'm' => {
                // SAFETY: as the callee.
                unsafe { self.model.push(L) };
                return true;
            }
            _ => match b"unsid".iter().position(|known| *known == letter) {
                Some(index) => self.times[index],
                None => return false,
            },
        };
        // SAFETY: pushes a number.
        unsafe { ffi::lua_pushinteger(L, number as ffi::lua_Integer) };
        true
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct InterfaceEntry {
    name: Text<16>,
    loopback: u8,
    v6: u8,
    prefix: u8,
    mask: [u8; 16],
    address: [u8; 16],
    hardware: [u8; 6],
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

impl InterfaceEntry {
    fn new(interface: &Interface) -> Self {
        Self {
            name: Text::new(&interface.name),
            loopback: interface.loopback.into(),
            v6: interface.address.is_ipv6().into(),
            prefix: interface.prefix() as u8,
            mask: octets(interface.mask),
            address: octets(interface.address),
            hardware: interface.hardware,
        }
    }

    fn len(&self) -> usize {
        if self.v6 != 0 { 16 } else { 4 }
    }

    fn ip(&self) -> IpAddr {
        let [a, b, c, d, ..] = self.address;
        if self.v6 != 0 { self.address.into() } else { [a, b, c, d].into() }
    }
}

impl Entry for InterfaceEntry {
    const CLASS: Class = Class::InterfaceList;
    const CLOSED: &'static CStr = c"closed coutil:netifaces";

    unsafe fn push(&self, L: *mut lua_State, letter: u8) -> bool {
        // SAFETY: Lua copies the bytes. Nothing with a destructor is live when it is called.
        unsafe {
            let push = |bytes: &[u8]| {
                ffi::lua_pushlstring(L, bytes.as_ptr().cast(), bytes.len());
            };
            match letter {
                b'n' => self.name.push(L),
                b'i' => ffi::lua_pushboolean(L, (self.loopback != 0).into()),
                b'd' => push(if self.v6 != 0 { b"ipv6" } else { b"ipv4" }),
                b'l' => ffi::lua_pushinteger(L, self.prefix.into()),
                b'm' => push(&self.mask[..self.len()]),
                b'b' => push(&self.address[..self.len()]),
                b't' => crate::raw::run(L, || Text::<48>::new(literal(self.ip()).as_bytes())).push(L),
                b'B' => push(&self.hardware),
                b'T' => crate::raw::run(L, || {
                    let bytes = self.hardware.map(|byte| format!("{byte:02x}"));
                    Text::<17>::new(bytes.join(":").as_bytes())
                })
                .push(L),
                _ => return false,
            }
            true
        }
    }
}

/// The contents of an iterator. How many entries there are its size says, so any bytes of a userdata of at least that size are
/// one.
#[repr(C)]
#[derive(Clone, Copy)]
struct List<E> {
    closed: u64,
    /// The first one, if there is any; the others follow.
    entries: [E; 0],
}

/// Pushes an iterator of the entries that `find` finds, made by `entry`. [-0, +1 unless it fails] Raises for memory.
unsafe fn push_list<T: Send + 'static, E: Entry>(
    L: *mut lua_State,
    state: StateRef,
    find: impl FnOnce() -> Result<Vec<T>>,
    entry: impl Fn(&T) -> E,
) -> Result<()> {
    // SAFETY: what was found is held while the userdata is made, which has room for all entries, and is complete before it gets its
    // class.
    unsafe {
        let key = held::push(L);
        let count = state.with(L, |state| {
            let found = find()?;
            let count = found.len();
            state.system().hold(key, found);
            Ok(count)
        });
        let count = match count {
            Ok(count) => count,
            Err(error) => {
                ffi::lua_pop(L, 1);
                return Err(error);
            }
        };
        let size = size_of::<List<E>>() + count * size_of::<E>();
        let list = compat::new_userdata(L, size).cast::<List<E>>();
        (&raw mut (*list).closed).write(0);
        let first = list.cast::<u8>().add(offset_of!(List<E>, entries)).cast::<E>();
        state.with(L, |state| {
            let Some(found) = state.system().take_held::<Vec<T>>(key) else { return };
            for (index, found) in found.iter().enumerate() {
                first.add(index).write(entry(found));
            }
        });
        set_class(L, E::CLASS);
        ffi::lua_remove(L, -2);
        Ok(())
    }
}

/// The results of a function that makes an iterator, which is on the top: that, `which` at index `arg`, 0, and itself.
unsafe fn iterate(L: *mut lua_State, arg: c_int) -> c_int {
    // SAFETY: the argument may be absent, and then is nil.
    unsafe {
        let list = ffi::lua_gettop(L);
        if ffi::lua_type(L, arg) == ffi::LUA_TNONE || arg == list {
            ffi::lua_pushnil(L);
        } else {
            ffi::lua_pushvalue(L, arg);
        }
        ffi::lua_pushinteger(L, 0);
        ffi::lua_pushvalue(L, list);
        4
    }
}

/// `cpuinfo(which)` → iterator, which, 0, iterator
unsafe extern "C-unwind" fn cpu_info(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        match push_list(L, StateRef::of(L), info::cpus, CpuEntry::new) {
            Ok(()) => iterate(L, 1),
            Err(error) => {
                push_message(L, error);
                raise(L, DIRECT)
            }
        }
    }
}

/// `netinfo("all", which)` → iterator, which, 0, iterator; `netinfo("id" or "name", index)` → name
unsafe extern "C-unwind" fn net_info(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        if args::check_option(L, DIRECT, 1, None, &[c"all", c"id", c"name"]) == 0 {
            return match push_list(L, state, info::interfaces, InterfaceEntry::new) {
                Ok(()) => iterate(L, 2),
                Err(error) => push_failure(L, error),
            };
        }
        let index = match args::check_integer(L, DIRECT, 2) {
            index @ 1..=0x7fff_ffff => index as u32,
            _ => args::bad(L, DIRECT, 2, c"out of range"),
        };
        match held::push_bytes(L, state, || info::interface_name(index)) {
            Ok(()) => 1,
            // Some systems have another number for it.
            Err(_) => push_failure(L, Error::from_code(libc::ENXIO)),
        }
    }
}

/// The list at index 1, and how many entries it has. Raises.
unsafe fn check_list<E: Entry>(L: *mut lua_State) -> (*mut List<E>, usize) {
    // SAFETY: as the callee.
    unsafe {
        let list = check_object::<List<E>>(L, DIRECT, StateRef::of(L), 1, E::CLASS);
        if (*list).closed != 0 {
            args::bad(L, DIRECT, 1, E::CLOSED);
        }
        let bytes = ffi::lua_rawlen(L, 1) as usize;
        (list, (bytes - size_of::<List<E>>()) / size_of::<E>())
    }
}

/// `#list`
unsafe extern "C-unwind" fn len<E: Entry>(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let (_, count) = check_list::<E>(L);
        ffi::lua_pushinteger(L, count as ffi::lua_Integer);
        1
    }
}

/// `list(which [, previous])` → number, a value for each letter
unsafe extern "C-unwind" fn call<E: Entry>(L: *mut lua_State) -> c_int {
    // SAFETY: the entry is copied, as the list stays where it is.
    unsafe {
        let (list, count) = check_list::<E>(L);
        args::check_string(L, DIRECT, 2);
        let previous = args::opt_integer(L, DIRECT, 3, 0);
        let index = match usize::try_from(previous) {
            Ok(index) if index < count => index,
            _ => return 0,
        };
        let letters = CStr::from_ptr(ffi::lua_tostring(L, 2)).to_bytes();
        let values = c_int::try_from(letters.len()).unwrap_or(c_int::MAX - 100);
        ffi::luaL_checkstack(L, values + 10, c"too many values to return".as_ptr());
        let first = list.cast::<u8>().add(offset_of!(List<E>, entries)).cast::<E>();
        let entry = *first.add(index);
        ffi::lua_pushinteger(L, index as ffi::lua_Integer + 1);
        for letter in letters {
            if !entry.push(L, *letter) {
                raise_byte(L, DIRECT, c"unknown mode char", *letter);
            }
        }
        values + 1
    }
}

/// `__gc`, `__close`
unsafe extern "C-unwind" fn collect<E: Entry>(L: *mut lua_State) -> c_int {
    // SAFETY: any value may be given, also after the state was closed.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L) {
            let list = check_object::<List<E>>(L, DIRECT, state, 1, E::CLASS);
            (*list).closed = 1;
        }
        0
    }
}
