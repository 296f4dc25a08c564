import { type ChildProcess, spawn } from 'node:child_process'

/**
 * A process of its own that outlives the listener by a moment: it is told which groups run, and when the pipe to the listener closes, however that ended, it asks
 * what is left to end, and ends it 5 s later. It needs nothing but Node, and gets no environment.
 */
const guardian = `
const pids = new Set()
let rest = ''
const signal = (name) => { for (const pid of pids) { try { process.kill(-pid, name) } catch {} } }
process.stdin.setEncoding('latin1')
process.stdin.on('data', (text) => {
  const lines = (rest + text).split('\\n')
  rest = lines.pop()
  for (const line of lines) { if (line[0] === '+') pids.add(Number(line.slice(1))); else pids.delete(Number(line.slice(1))) }
})
process.stdin.on('end', () => { if (pids.size > 0) { signal('SIGTERM'); setTimeout(() => signal('SIGKILL'), 5000) } })
`

/** The process groups that handlers run in: whatever ends the listener ends them. */
export class ProcessGroups {
  readonly #pids = new Set<number>()
  #guardian: ChildProcess | undefined

  add(pid: number): void {
    this.#pids.add(pid)
    this.#tell(`+${pid}`)
  }

  /** Ends what is left of a group. */
  end(pid: number): void {
    this.signal(pid, 'SIGKILL')
    if (this.#pids.delete(pid)) this.#tell(`-${pid}`)
  }

  signal(pid: number, signal: NodeJS.Signals): void {
    if (!this.#pids.has(pid)) return
    try {
      // Of Windows there is the process alone.
      process.kill(process.platform === 'win32' ? pid : -pid, signal)
    } catch {
      // It has ended.
    }
  }

  /** Ends all groups, and with them the need of a guardian. */
  endAll(): void {
    for (const pid of [...this.#pids]) this.end(pid)
    this.#guardian?.stdin?.end()
  }

  #tell(line: string): void {
    this.#guardian ??= startGuardian()
    this.#guardian?.stdin?.write(`${line}\n`)
  }
}

function startGuardian(): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined
  const child = spawn(process.execPath, ['--input-type=commonjs', '-e', guardian], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: {},
    cwd: '/'
  })
  // Without it handlers are ended by the listener alone.
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  return child
}
