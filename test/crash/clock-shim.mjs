// Moves the wall clock of a process by CLOCK_SHIFT_MS; its monotonic clock stays, as on a machine whose clock is set.
const shift = Number(process.env['CLOCK_SHIFT_MS'] ?? 0)
const real = Date.now.bind(Date)
Date.now = () => real() + shift
